"""What the HTTP servers of Longwave share, from the socket to the application: whom they let in, and how much of it.

- `settings`: where a server listens, its certificate, proxies and limits
- `tls`: the certificate, taken anew when its files change
- `places`: who holds connections
- `protocol`: the limits of a request's head, and of slow clients
- `names`: under which names a server may be asked
- `proxies`: whom a request comes from, if a proxy says it
- `headers`: the security headers of every answer
- `server`: all of it around an application (API and ingress)

The port for metrics and health (`adapters.health.server`) takes names, places and headers from here; its threads have
limits of their own.
"""
