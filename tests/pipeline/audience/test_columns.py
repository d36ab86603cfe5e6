"""What columns are taken for: by header in many languages, by their values, by the operator; or the import asks."""

from __future__ import annotations

import pytest

from pipeline.audience.column_words import field_name, is_empty
from pipeline.audience.columns import Choices, Columns, ColumnsError, columns_of
from pipeline.audience.consent_columns import kind_of, verdict_of
from pipeline.audience.rejections import explained
from pipeline.audience.survey import Survey
from pipeline.content.placeholders import is_name
from schemas.reasons import Reason


def surveyed(header: tuple[str, ...], rows: list[list[str]], choices: Choices | None = None) -> Columns:
    survey = Survey.of(header)
    survey.add(rows)
    return columns_of(header, survey.profiles, choices)


def polarity(header: str, *values: str) -> str | None:
    """What "yes" means in a column of these values; None where it is not about consent."""
    columns = surveyed(("phone", header), [["+12127365000", value] for value in values])
    return columns.consents[0].polarity if columns.consents else None


@pytest.mark.parametrize(
    "name",
    ["phone", "number", "MOBILE", " msisdn ", "Phone-Number", "Téléphone", "telephone", "N° de téléphone",
     "Handynummer",
     "Mobilfunknummer", "móvil", "Celular", "cellulare", "Telemóvel", "mobiel", "Numer telefonu", "телефон", "手机号",
     "電話番号", "携帯電話", "휴대폰", "Κινητό", "Cep Telefonu", "Telefonszám", "SMS Phone Number", "Mobile Phone"],
)  # fmt: skip
def test_names_of_the_number_column(name: str) -> None:
    assert columns_of(["email", name]).phone == 1


def test_the_first_alias_wins_and_the_others_stay_attributes() -> None:
    columns = columns_of(["mobile", "phone", "state", "time zone", "Home Phone"])
    assert columns.phone == 1
    assert set(columns.phones) == {0, 1, 4}
    assert (columns.region, columns.zone) == (2, 3)
    assert [name for name, _ in columns.attributes] == ["mobile", "state", "time_zone", "home_phone"]


def test_a_shop_s_export_is_understood() -> None:
    header = ("First Name", "Email", "Accepts Email Marketing", "Default Address Country Code", "Phone",
              "Default Address Phone", "Accepts SMS Marketing", "Total Spent")  # fmt: skip
    columns = columns_of(header)
    assert (columns.phone, columns.country) == (4, 3)
    assert [(consent.name, consent.polarity) for consent in columns.consents] == [("Accepts SMS Marketing", "in")]
    assert any("another channel" in note for note in columns.notes)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("First Name", "first_name"),
        ("Prénom", "prénom"),
        ("Pre\u0301nom", "prénom"),
        ("姓名", "姓名"),
        ("नाम", "नाम"),
        ("ИМЯ", "имя"),
        ("E-Mail", "e_mail"),
        ("2nd name", "_2nd_name"),
        (" (%) ", ""),
        ("x" * 80, "x" * 64),
        ("Größe", "größe"),
    ],
)
def test_a_header_in_any_script_keeps_its_letters_and_a_template_can_name_it(header: str, name: str) -> None:
    assert field_name(header) == name
    assert not name or is_name(name)


def test_unusable_headers_say_what_was_found_and_what_to_do() -> None:
    with pytest.raises(ColumnsError, match=r"no column is called phone, .*found: 'email', 'Vorname'"):
        columns_of(["email", "Vorname"])
    with pytest.raises(ColumnsError, match=r"two columns named 'first_name'.*--ignore-column 3"):
        columns_of(["phone", "first name", "First-Name"])
    with pytest.raises(ColumnsError, match="'Kontakt' looks like it: --column phone='Kontakt'"):
        surveyed(("Kontakt", "Ort"), [["+4915123456789", "Wien"], ["0664 1234567", "Graz"]])
    with pytest.raises(ColumnsError, match=r"first line is no header but a contact.*--no-header"):
        columns_of(["+12127365000", "Ann"])
    with pytest.raises(ColumnsError, match=r"several columns.*'Telefon privat', 'Telefon Büro'"):
        columns_of(["Telefon privat", "Telefon Büro"])


def test_the_operator_decides() -> None:
    header = ("Kontakt", "phone", "Land", "Note", "Rest")
    choices = Choices((("phone", "kontakt"), ("attribute", "Land"), ("opted_out", "4")), ("Rest",))
    columns = columns_of(header, None, choices)
    assert (columns.phone, columns.country) == (0, None)
    assert [(consent.position, consent.polarity) for consent in columns.consents] == [(3, "out")]
    assert [name for name, _ in columns.attributes] == ["phone", "land"]
    with pytest.raises(ColumnsError, match="no column 'Handy'; the file has 'Kontakt'"):
        columns_of(header, None, Choices((("phone", "Handy"),)))


OUT = ["unsubscribed", "opt-out", "Opted Out", "SMS Opt Out", "Do Not Contact", "DNC", "Suppressed", "désabonné",
       "Désinscrit", "STOP SMS", "Abgemeldet", "abbestellt", "Werbesperre", "Widerruf", "Baja", "Dado de baja",
       "Disiscritto", "Descadastrado", "Afgemeld", "Uitgeschreven", "Wypisany", "Rezygnacja", "Odhlášen",
       "Avregistrerad",
       "已退订", "取消订阅", "配信停止", "수신거부", "no_consent", "Nicht einverstanden", "sans consentement",
       "not subscribed"]  # fmt: skip
IN = ["consent", "SMS Consent", "Accepts SMS Marketing", "accepts_marketing", "Opt-in", "OPTIN_SMS", "Subscribed",
      "Consentement", "Consentement SMS", "Abonné", "Inscrit", "Einwilligung", "Zustimmung SMS", "Consentimiento",
      "Suscrito", "Acepta SMS", "Consenso", "Iscritto", "Consentimento", "Inscrito", "Toestemming", "Aangemeld",
       "Zgoda",
      "Zapisany", "Samtycke", "Souhlas", "согласие", "同意", "订阅", "수신 동의"]  # fmt: skip


@pytest.mark.parametrize("header", OUT)
def test_columns_that_forbid(header: str) -> None:
    assert polarity(header, "yes", "no") == "out"


@pytest.mark.parametrize("header", IN)
def test_columns_that_allow(header: str) -> None:
    assert polarity(header, "yes", "no") == "in"


@pytest.mark.parametrize(
    "header", ["first_name", "city", "Subscription Plan", "Order Status", "Stopover", "Stop ID", "Bus Stop Name",
               "Check-out", "Sold Out", "Email Opt Out", "Accepts Email Marketing", "E-Mail-Einwilligung", "account",
               "Notes", "Subscriber ID", "Contact ID", "Contact Type", "Primary Contact", "SMS sent", "SMS count",
               "Mobile verified", "HasOptedOutOfEmail", "Contact priority",
               "Excluded product",
               "Married", "WhatsApp opt in", "Example", "Explicit", "Termine"],
)  # fmt: skip
def test_columns_that_are_about_something_else(header: str) -> None:
    assert kind_of(header) in (None, "other_channel")
    assert polarity(header, "yes", "no") is None


@pytest.mark.parametrize(
    "header",
    ["Text Opt-Out", "Do Not Text", "Opted Out (text)", "Opt-in declined", "Consent denied", "Consent expired",
     "Consent missing", "Einwilligung fehlt", "Einwilligung abgelaufen", "Einwilligung widerrufen",
     "Zustimmung verweigert", "Consenso negato", "Consenso revocato", "Consentement retiré le", "Consentement expiré",
     "Consentimiento denegado", "Consentimiento caducado", "Consentimento recusado", "Toestemming ingetrokken",
     "Zgoda cofnięta", "Subscriber inactive", "Former subscriber", "ex-subscriber", "Ancien abonné",
     "Abonnement résilié", "Unconfirmed opt-in",
     "Keine Werbung", "HasOptedOutOfSMS", "OptOut", "smsOptOut", "SMSOptOut", "DoNotContact", "doNotText",
     "Ne pas contacter",
     "Opposition", "no_sms", "No Marketing", "pas de SMS", "Nicht kontaktieren", "Darf nicht kontaktiert werden",
     "Kontaktsperre", "Werbewiderspruch", "Newsletterabmeldung", "No contactar", "Non contattare", "不同意",
     "Opt-out requested", "SMS out", "Do Not Call", "DoNotCall", "Not interested", "Kein Interesse", "Excluded",
     "Remove from list", "SMS off", "Ne souhaite pas", "Rifiuta", "No longer subscribed", "Consent never given"],
)  # fmt: skip
def test_columns_that_forbid_in_other_words(header: str) -> None:
    assert polarity(header, "yes", "no") == "out"


@pytest.mark.parametrize(
    "header",
    ["Text Consent", "Accepts Text Marketing", "text_opt_in", "Receive SMS", "Darf kontaktiert werden", "smsOptIn",
     "isSubscribed", "IsSubscribedToSMS", "Explicit consent", "Werbeeinwilligung", "SMS-Einwilligung",
     "Datenschutzeinwilligung", "Werbeerlaubnis", "Can contact", "SMS OK", "Recibir SMS", "Consent date"],
)  # fmt: skip
def test_columns_that_allow_in_other_words(header: str) -> None:
    assert polarity(header, "yes", "no") == "in"


@pytest.mark.parametrize(
    "header",
    ["SMS", "Werbung", "Contact", "Text", "Marketing", "Newsletter", "Promotions", "Kontakt", "Publicité", "Opt",
     "Marketing messages",
     "Subscription cancelled", "Not opted out", "Nicht abgemeldet", "Opt-out cancelled",
     "Unsubscribe denied", "Consent not expired", "Consent requested", "Consent pending", "Opt-in sent",
     "Consent valid until", "Consent Source"],
)  # fmt: skip
def test_answers_under_a_header_that_does_not_say_what_yes_means_stop_the_import(header: str) -> None:
    with pytest.raises(ColumnsError, match=r"looks like consent.*--column consent="):
        polarity(header, "yes", "no")
    with pytest.raises(ColumnsError, match=r"looks like consent.*--column consent="):
        polarity(header, "1", "", "0")


def roles(header: str, *values: str) -> list[str | None]:
    """What each cell of a column says about consent; None for nothing."""
    columns = surveyed(("phone", header), [["+12127365000", value] for value in values])
    return [columns.consents[0].verdict(value) if columns.consents else None for value in values]


@pytest.mark.parametrize(
    ("header", "values", "said"),
    [
        # The reason or source of an opt-out is there because the person opted out: not sent to until somebody looks.
        # Formerly it was never about consent, and these people got messages.
        ("Unsubscribe Reason", ["too many", ""], ["held", None]),
        ("Reason for opt out", ["no", "moved", "NULL"], [None, "held", None]),
        ("Opt-Out Source", ["web", "", "unsubscribed"], ["held", None, "out"]),
        ("UNSUB_CAMPAIGN_ID", ["81af", ""], ["held", None]),
        ("Grund der Abmeldung", ["zu viele", ""], ["held", None]),
        ("Motif de désinscription", ["trop", ""], ["held", None]),
        # Its link stands in every line of an export, whoever opted out.
        ("Unsubscribe URL", ["https://x.example/u/1", "https://x.example/u/2"], [None, None]),
        # Who has no source of consent where others have one did not agree, unless another column says so.
        ("Consent Source", ["shop", ""], [None, "held"]),
        ("Consent Source", ["shop", "withdrawn", "no consent"], [None, "out", "held"]),
        ("Consent Source", ["", ""], [None, None]),
    ],
)
def test_details_of_opt_outs_and_of_consent(header: str, values: list[str], said: list[str | None]) -> None:
    assert roles(header, *values) == said
    columns = surveyed(("phone", header), [["+12127365000", value] for value in values])
    assert len(columns.attributes) == 1, "what it was, it stays"


def test_a_column_that_says_who_agreed_decides_over_the_source_of_consent() -> None:
    rows = [["+12127365000", "shop", "yes"], ["+12127365001", "", "yes"]]
    columns = surveyed(("phone", "Consent Source", "Consent"), rows)
    assert [consent.verdict("") for consent in columns.consents] == [None, "held"]


def test_details_of_an_opt_out_in_every_line_stop_the_import() -> None:
    with pytest.raises(ColumnsError, match="'Opt-out method' looks like consent"):
        roles("Opt-out method", "web", "text")


@pytest.mark.parametrize(
    ("header", "values", "said"),
    [
        ("Status", ["STOP", "Active"], ["out", "in"]),
        ("Status", ["DNC", "Active"], ["out", "in"]),
        ("Status", ["Do Not Contact", "Active"], ["out", "in"]),
        ("Status", ["Blacklisted", "Active"], ["out", "in"]),
        ("Status", ["Opted-Out SMS", "Active"], ["out", "in"]),
        ("Status", ["Unsubscribed (SMS)", "Active"], ["out", "in"]),
        ("Status", ["OptedOut", "Subscribed (SMS)"], ["out", "in"]),
        ("SMS Status", ["Blocked", "Active"], ["out", "in"]),
        ("SMS Status", ["inactive", "active"], ["held", "in"]),
        ("Opt", ["OUT", "IN"], ["out", "in"]),
        ("State", ["Subscribed", "Unsubscribed"], ["in", "out"]),
        ("region", ["Subscribed", "Unsubscribed"], ["in", "out"]),
        ("Country", ["Subscribed", "Unsubscribed"], ["in", "out"]),
        ("Gruppe", ["gesperrt", "aktiv"], ["out", "in"]),
    ],
)
def test_values_that_forbid_decide_whatever_the_header_says(
    header: str, values: list[str], said: list[str | None]
) -> None:
    assert roles(header, *values) == said
    columns = surveyed(("phone", header), [["+12127365000", value] for value in values])
    assert (columns.country, columns.region, columns.attributes) == (None, None, ())


@pytest.mark.parametrize(
    ("header", "values"),
    [("Status", ["refused", "Active"]), ("Status", ["Gold", "Silver", "declined"]), ("Estado", ["Alta", "Baja"]),
     ("SMS Status", ["ok", "Blocked"]), ("Etat", ["actif", "refusé"]), ("marketing", ["yes", "perhaps", "no"]),
     ("Newsletter", ["2024-01-02", ""])],
)  # fmt: skip
def test_values_that_may_forbid_stop_the_import(header: str, values: list[str]) -> None:
    with pytest.raises(ColumnsError, match=f"'{header}' looks like consent"):
        roles(header, *values)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("unsubscribed", "out"), ("VIP;Unsubscribed", "held"), ("VIP, opted out", "held"), ("VIP|STOP", "held"),
        ("STOP (reply)", "held"), ("SMS: STOP", "out"), ("un-subscribed", "out"),
        ("STOP", "held"), ("has unsubscribed by phone", "held"), ("please do not contact her", "held"),
        ("DoNotContact", "out"), ("Keine Werbung!", "out"), ("désabonnée le 3 mai", "held"), ("已退订 2024", "held"),
        ("un\u200bsubscribed", "out"),
        ("VIP", None), ("Baja", None), ("refused a parcel", None), ("bus stop", None), ("subscribed", None),
        ("no", None), ("https://x.example/unsubscribed?u=1", None), ("Check-out at 10", None), ("textile", None),
    ],
)  # fmt: skip
def test_an_opt_out_counts_in_any_column_and_holds_nobody_else(cell: str, said: str | None) -> None:
    for header, rest in (("Notes", ["gold", "x", "a b", "silver"]), ("Region", ["NY", "CA", "TX", "FL"])):
        assert roles(header, *rest, cell) == [None, None, None, None, said]
    many = [f"note {n}" for n in range(1000)]
    assert roles("Notes", *many, cell, *many) == [*[None] * 1000, said, *[None] * 1000]


def test_an_operator_can_say_that_cells_mean_something_else() -> None:
    rows = [["+12127365000", "Stop"], ["+12127365001", "Ann"]]
    columns = surveyed(("phone", "First Name"), rows)
    assert columns.role_of(1) == "attribute {first_name}, and what tells of an opt-out in it"
    assert "--column attribute='First Name'" in columns.notes[0]
    assert not surveyed(("phone", "First Name"), rows, Choices((("attribute", "First Name"),))).consents


@pytest.mark.parametrize(
    ("header", "values"),
    [("Prioridad", ["Alta", "Baja", "Media"]), ("Order Status", ["cancelado", "enviado"]), ("State", ["NY", "CA"]),
     ("Status", ["active", "inactive"]), ("Payment", ["declined", "paid"]), ("Married", ["yes", "no"]),
     ("Tags", ["VIP", "New;Old"]), ("E-Mail", ["stop@x.example", "a@b.example"]), ("Gender", ["m", "f"])],
)  # fmt: skip
def test_ordinary_values_say_nothing_about_consent(header: str, values: list[str]) -> None:
    assert roles(header, *values) == [None] * len(values)


def test_a_column_of_answers_is_no_column_of_numbers() -> None:
    rows = [["yes", "+12127365000"], ["no", "+12127365001"]]
    with pytest.raises(ColumnsError, match="'SMS' looks like consent"):
        surveyed(("SMS", "Handy"), rows)
    columns = surveyed(("SMS", "Handy"), rows, Choices((("consent", "SMS"),)))
    assert (columns.phone, columns.phones) == (1, (1,))


@pytest.mark.parametrize(
    ("value", "polarity", "verdict"),
    [
        ("no", "in", "out"), ("non", "in", "out"), ("Nein", "in", "out"), ("否", "in", "out"), ("0.0", "in", "out"),
        ("oui", "in", "in"), ("Sí", "in", "in"), ("✓", "in", "in"), ("1", "out", "out"), ("x", "out", "out"),
        ("VRAI", "out", "out"), ("FAUX", "out", "in"), ("SUBSCRIBED", "in", "in"), ("UNSUBSCRIBED", "in", "out"),
        ("NEVER_SUBSCRIBED", "in", "held"), ("pending", "in", "held"), ("désabonné", "", "out"), ("yes", "", "held"),
        ("Abgemeldet", "in", "out"), ("2024-01-31 10:00", "out", "out"), ("31.01.2024", "in", "in"),
        ("0000-00-00", "out", "in"), ("", "out", None), ("NULL", "out", None), ("#N/A", "out", "held"),
        ("maybe", "out", "held"), ("I agree to receive texts", "in", "held"),
    ],
)  # fmt: skip
def test_what_a_cell_says(value: str, polarity: str, verdict: str | None) -> None:
    assert verdict_of(value, polarity) == verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "values"),
    [("opt-out", ["perhaps"]), ("SMS Consent", ["A", "B"]), ("RGPD", ["oui", "non"]), ("marketing", ["yes", "no"]),
     ("Newsletter", ["1", "0"])],
)  # fmt: skip
def test_what_looks_like_consent_and_is_not_understood_stops_the_import(header: str, values: list[str]) -> None:
    rows = [["+12127365000", value] for value in values]
    with pytest.raises(ColumnsError, match=f"'{header}' looks like consent.*--column consent='{header}'.*--ignore"):
        surveyed(("phone", header), rows)
    answered = surveyed(("phone", header), rows, Choices((("opted_out", header),)))
    assert [consent.polarity for consent in answered.consents] == ["out"]
    assert not surveyed(("phone", header), rows, Choices((), (header,))).consents
    kept = surveyed(("phone", header), rows, Choices((("attribute", header),)))
    assert (kept.consents, len(kept.attributes)) == ((), 1)


@pytest.mark.parametrize(
    ("text", "empty"),
    [("\u200b", True), ("\u3164", True), (" \u200b\u3164\ufeff ", True), ("\u115f\uffa0", True), ("\u2800", True),
     ("\ufe0f", True), ("\u200e", True), ("n.a.", True), ("k.A.", True), ("k. A.", True), ("[object Object]", True),
     ("Na", False), ("Kim", False), ("❤️", False), ("김", False), ("é", False), ("नी", False), ("\ue000", False)],
)  # fmt: skip
def test_what_means_nothing_or_is_invisible_is_empty(text: str, empty: bool) -> None:
    assert is_empty(text) is empty
    assert verdict_of(text, "in", blank_is_doubtful=True) == "held"
    assert (verdict_of(text, "out") is None) is empty


def test_values_reveal_a_consent_column_under_any_name() -> None:
    assert polarity("status", "subscribed", "unsubscribed") == ""
    assert polarity("Etat", "abonné", "désabonné") == ""
    assert polarity("status", "gold", "silver") is None
    assert polarity("Ort", "Wien", "Baja") is None


def test_the_reasons_of_an_earlier_rejection_are_no_attribute() -> None:
    reasons = [["+12127365000", explained(Reason.NOT_POSSIBLE)], ["+12127365001", explained(Reason.NO_COUNTRY)]]
    columns = surveyed(("phone", "reason"), reasons)
    assert columns.has_reason
    assert columns.attributes == ()
    assert surveyed(("phone", "reason"), [["+12127365000", "birthday"]]).attributes == (("reason", 1),)
