"""Numbers as a reader would write them."""


def degrees(value: float, decimals: int = 1) -> str:
    """Return an angle with a true minus sign, and no minus on a zero."""
    return f"{value:z.{decimals}f}°".replace("-", "−")


def seconds(value: float) -> str:
    """Return a time as a reader would say it."""
    if value < 99.5:
        return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
