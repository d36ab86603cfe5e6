"""The REST API, the server of the live page, and the ingress for what comes in."""
