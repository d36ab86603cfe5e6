"""The ingress: receipts, inbound texts and clicks come in here, and are answered after Kafka acknowledged them."""

from api.ingress.server import serve

__all__ = ["serve"]
