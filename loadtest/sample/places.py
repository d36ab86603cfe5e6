"""Where sample people live, what they are called, and how numbers there begin. Small and plausible, not a census."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A city: its region (state, province, department), zone, weight, and the prefixes of numbers there."""

    country: str
    city: str
    region: str
    zone: str
    weight: int
    prefixes: tuple[str, ...]
    """First digits of national numbers; North America: area codes."""


COUNTRY_WEIGHTS = {"US": 60, "CA": 12, "FR": 12, "GB": 10, "IN": 6}
CALLING_CODES = {"US": 1, "CA": 1, "FR": 33, "GB": 44, "IN": 91}
NATIONAL_LENGTHS = {"US": 10, "CA": 10, "FR": 9, "GB": 10, "IN": 10}

_NORTH_AMERICA = """
US|New York|NY|America/New_York|84|212 332 347 646 718 917 929
US|Buffalo|NY|America/New_York|5|716
US|Los Angeles|CA|America/Los_Angeles|70|213 310 323 424 818
US|San Diego|CA|America/Los_Angeles|22|619 858
US|San Francisco|CA|America/Los_Angeles|20|415 628
US|San Jose|CA|America/Los_Angeles|14|408 669
US|Sacramento|CA|America/Los_Angeles|11|916 279
US|Chicago|IL|America/Chicago|50|312 773 872
US|Houston|TX|America/Chicago|40|281 346 713 832
US|Dallas|TX|America/Chicago|38|214 469 972
US|Austin|TX|America/Chicago|16|512 737
US|San Antonio|TX|America/Chicago|15|210 726
US|El Paso|TX|America/Denver|6|915
US|Miami|FL|America/New_York|32|305 786
US|Orlando|FL|America/New_York|15|321 407 689
US|Tampa|FL|America/New_York|15|656 813
US|Jacksonville|FL|America/New_York|9|904
US|Philadelphia|PA|America/New_York|28|215 267 445
US|Pittsburgh|PA|America/New_York|11|412
US|Atlanta|GA|America/New_York|28|404 470 678 770
US|Boston|MA|America/New_York|24|617 857
US|Washington|DC|America/New_York|12|202
US|Baltimore|MD|America/New_York|12|410 443 667
US|Seattle|WA|America/Los_Angeles|19|206
US|Spokane|WA|America/Los_Angeles|3|509
US|Phoenix|AZ|America/Phoenix|22|480 602 623
US|Tucson|AZ|America/Phoenix|5|520
US|Denver|CO|America/Denver|17|303 720
US|Minneapolis|MN|America/Chicago|15|612 763 952
US|Detroit|MI|America/Detroit|18|313 248 586
US|St. Louis|MO|America/Chicago|12|314
US|Kansas City|MO|America/Chicago|8|816
US|Cleveland|OH|America/New_York|10|216 440
US|Columbus|OH|America/New_York|11|614 380
US|Charlotte|NC|America/New_York|14|704 980
US|Raleigh|NC|America/New_York|9|919 984
US|Indianapolis|IN|America/Indiana/Indianapolis|11|317 463
US|Nashville|TN|America/Chicago|10|615 629
US|Memphis|TN|America/Chicago|6|901
US|New Orleans|LA|America/Chicago|7|504
US|Oklahoma City|OK|America/Chicago|7|405 572
US|Las Vegas|NV|America/Los_Angeles|12|702 725
US|Portland|OR|America/Los_Angeles|12|503 971
US|Salt Lake City|UT|America/Denver|7|385 801
US|Newark|NJ|America/New_York|20|862 908 973
US|Hartford|CT|America/New_York|6|860 959
US|Providence|RI|America/New_York|5|401
US|Richmond|VA|America/New_York|7|804
US|Charleston|SC|America/New_York|6|843 854
US|Birmingham|AL|America/Chicago|5|205 659
US|Louisville|KY|America/Kentucky/Louisville|6|502
US|Milwaukee|WI|America/Chicago|8|262 414
US|Albuquerque|NM|America/Denver|5|505
US|Omaha|NE|America/Chicago|4|402 531
US|Boise|ID|America/Boise|4|208 986
US|Honolulu|HI|Pacific/Honolulu|5|808
US|Anchorage|AK|America/Anchorage|2|907
US|Jackson|MS|America/Chicago|3|601 769
US|Fargo|ND|America/Chicago|1|701
US|Cheyenne|WY|America/Denver|1|307
CA|Toronto|ON|America/Toronto|60|416 437 647
CA|Ottawa|ON|America/Toronto|14|343 613
CA|Montreal|QC|America/Toronto|40|438 514
CA|Quebec City|QC|America/Toronto|8|418 581
CA|Vancouver|BC|America/Vancouver|26|236 604 778
CA|Calgary|AB|America/Edmonton|15|403 587
CA|Edmonton|AB|America/Edmonton|14|780 825
CA|Winnipeg|MB|America/Winnipeg|8|204 431
CA|Regina|SK|America/Regina|4|306 639
CA|Moncton|NB|America/Moncton|3|506
CA|St. John's|NL|America/St_Johns|3|709
"""

_ELSEWHERE = """
FR|Paris|75|Europe/Paris|40
FR|Marseille|13|Europe/Paris|16
FR|Lyon|69|Europe/Paris|14
FR|Toulouse|31|Europe/Paris|10
FR|Nice|06|Europe/Paris|7
FR|Nantes|44|Europe/Paris|8
FR|Strasbourg|67|Europe/Paris|6
FR|Metz|57|Europe/Paris|3
FR|Bordeaux|33|Europe/Paris|9
FR|Lille|59|Europe/Paris|10
GB|London|England|Europe/London|50
GB|Birmingham|England|Europe/London|14
GB|Manchester|England|Europe/London|16
GB|Leeds|England|Europe/London|9
GB|Bristol|England|Europe/London|7
GB|Glasgow|Scotland|Europe/London|8
GB|Edinburgh|Scotland|Europe/London|6
GB|Cardiff|Wales|Europe/London|5
GB|Belfast|Northern Ireland|Europe/London|4
IN|Mumbai|MH|Asia/Kolkata|30
IN|Pune|MH|Asia/Kolkata|11
IN|Delhi|DL|Asia/Kolkata|30
IN|Bengaluru|KA|Asia/Kolkata|20
IN|Hyderabad|TS|Asia/Kolkata|16
IN|Chennai|TN|Asia/Kolkata|14
IN|Kolkata|WB|Asia/Kolkata|13
IN|Ahmedabad|GJ|Asia/Kolkata|9
"""

_MOBILE = {
    "FR": "60 61 62 66 67 68 76 77 78",
    "GB": "771 773 774 775 784 785 786 787 790 794 795 796",
    "IN": "981 982 983 984 986 987 988 989 991 993 994 996 998",
}


def _places() -> tuple[Place, ...]:
    out = []
    for line in (_NORTH_AMERICA + _ELSEWHERE).split("\n"):
        if line:
            country, city, region, zone, weight, *codes = line.split("|")
            prefixes = tuple((codes[0] if codes else _MOBILE[country]).split())
            out.append(Place(country, city, region, zone, int(weight), prefixes))
    return tuple(out)


PLACES = _places()

FIRST_NAMES = {
    "US": "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan "
    "Joseph Jessica Thomas Sarah Carlos Maria Daniel Karen Matthew Nancy Anthony Lisa Mark Betty Luis Sofia Andrew "
    "Ashley Joshua Emily Kevin Donna Brian Michelle Tyrone Keisha Wei Mei Jamal Imani Diego Camila",
    "CA": "Liam Olivia Noah Emma William Charlotte Benjamin Amelia Lucas Chloé Émile Zoé Ethan Ava Nathan Léa "
    "Jacob Sophia Logan Maya Félix Juliette Owen Hannah Aiden Priya Arjun Grace Gabriel Rosalie",
    "FR": "Gabriel Louise Raphaël Ambre Léo Alba Louis Jade Arthur Emma Jules Rose Maël Alice Adam Léna Hugo Anna "
    "Lucas Inès Nathan Chloé François Hélène Jérôme Aurélie Stéphane Céline Karim Fatima Thierry Maëlle",
    "GB": "Oliver Amelia George Isla Arthur Ava Noah Ivy Muhammad Freya Leo Lily Oscar Florence Harry Mia Archie "
    "Willow Jack Rosie Henry Sophia Charlie Grace Alfie Poppy Rhys Cerys Callum Eilidh",
    "IN": "Aarav Saanvi Vivaan Aadhya Aditya Ananya Vihaan Diya Arjun Pari Sai Anika Krishna Navya Ishaan Angel "
    "Rohan Priya Rahul Pooja Amit Neha Vikram Kavya Suresh Lakshmi Rajesh Meera",
}
LAST_NAMES = {
    "US": "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez "
    "Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis "
    "Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Kim Chen",
    "CA": "Smith Brown Tremblay Martin Roy Wilson MacDonald Gagnon Johnson Taylor Côté Campbell Anderson Leblanc "
    "Lee Jones White Williams Miller Thompson Gauthier Singh Bélanger Wong Chan Pelletier Fortin",
    "FR": "Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel Lefèvre Leroy Roux "
    "David Bertrand Morel Fournier Girard Bonnet Dupont Lambert Fontaine Rousseau Vincent Müller Lefebvre Benali",
    "GB": "Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Robinson Wright Thompson Evans Walker White "
    "Roberts Green Hall Wood Jackson Clarke Khan Hughes Edwards Campbell Stewart Begum O'Neill",
    "IN": "Sharma Verma Gupta Singh Kumar Patel Reddy Nair Iyer Das Mehta Joshi Rao Shah Khan Mukherjee Banerjee "
    "Chopra Kapoor Malhotra Pillai Desai Agarwal Bose Menon",
}
CARRIERS = {
    "US": "verizon att tmobile uscellular",
    "CA": "rogers bell telus freedom",
    "FR": "orange sfr bouygues free",
    "GB": "ee o2 vodafone three",
    "IN": "jio airtel vi bsnl",
}
