"""The headers of every answer: what its page may load, run and be embedded in."""

_PERMISSIONS = ("camera", "microphone", "geolocation", "usb", "serial", "payment", "display-capture")


def content_policy(port: int, nonce: str) -> str:
    """Return the content policy of a page; docs/decisions/0013-web.md says what NiceGUI needs of it, and why."""
    sockets = " ".join(f"ws://{host}:{port}" for host in ("127.0.0.1", "localhost"))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            f"connect-src 'self' {sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def safe_headers(port: int, nonce: str) -> dict[str, str]:
    """Return the headers that every answer has, whatever made it."""
    return {
        "content-security-policy": content_policy(port, nonce),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": ", ".join(f"{name}=()" for name in _PERMISSIONS),
    }
