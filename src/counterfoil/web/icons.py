"""The icons, drawn on a grid of 24 with a line of 1.75. The logo is in `templates/parts/logo.html`."""

from __future__ import annotations

from markupsafe import Markup

#: The content of the `<svg>` of each icon.
SHAPES = {
    "account": '<rect x="3" y="5.5" width="18" height="13" rx="2.5"/><path d="M3 10h18M7 14.5h4"/>',
    "alert": '<path d="M12 4 2.8 19.5h18.4zM12 10v4.2M12 16.9v.1"/>',
    "ask": '<path d="M4 6h16M4 12h7M4 18h5"/><circle cx="16" cy="15" r="3.5"/><path d="m18.6 17.6 2.6 2.6"/>',
    "back": '<path d="M19 12H5M11 6l-6 6 6 6"/>',
    "chart": '<path d="M5 19.5V13M10 19.5V5M15 19.5v-9M20 19.5V8"/>',
    "check": '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
    "chevron": '<path d="m7 10 5 5 5-5"/>',
    "chevron-right": '<path d="m10 7 5 5-5 5"/>',
    "clock": '<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5V12l3 2"/>',
    "close": '<path d="m6.5 6.5 11 11M17.5 6.5l-11 11"/>',
    "copy": (
        '<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M15 5.5A1.5 1.5 0 0 0 13.5 4h-8A1.5 1.5 0 0 0'
        ' 4 5.5v8A1.5 1.5 0 0 0 5.5 15"/>'
    ),
    "database": (
        '<ellipse cx="12" cy="6" rx="7.5" ry="2.8"/><path d="M4.5 6v12c0 1.55 3.36 2.8 7.5 2.8s7.5-1.25'
        ' 7.5-2.8V6M4.5 12c0 1.55 3.36 2.8 7.5 2.8s7.5-1.25 7.5-2.8"/>'
    ),
    "download": '<path d="M12 4v11M7.5 11l4.5 4.5 4.5-4.5M4.5 19.5h15"/>',
    "edit": '<path d="M4.5 19.5h4l10.5-10.5-4-4L4.5 15.5zM12.5 7.5l4 4"/>',
    "external": (
        '<path d="M10 5H6.5A1.5 1.5 0 0 0 5 6.5v11A1.5 1.5 0 0 0 6.5 19h11a1.5 1.5 0 0 0 1.5-1.5V14M13.5'
        ' 5H19v5.5M19 5l-8 8"/>'
    ),
    "filter": '<path d="M4 6.5h16M7 12h10M10.5 17.5h3"/>',
    "info": '<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5.2M12 7.8v.1"/>',
    "key": '<circle cx="8" cy="15.5" r="4"/><path d="m11 12.5 8.5-8.5M15.5 8l3 3"/>',
    "logout": '<path d="M10 4.5H6A1.5 1.5 0 0 0 4.5 6v12A1.5 1.5 0 0 0 6 19.5h4M15.5 8l4 4-4 4M19.5 12H10"/>',
    "moon": '<path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z"/>',
    "more": '<path d="M6 12v.01M12 12v.01M18 12v.01" stroke-width="2.75"/>',
    "pause": '<path d="M9 6v12M15 6v12"/>',
    "play": '<path d="M8 5.5v13l10.5-6.5z"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "refresh": (
        '<path d="M19.5 5v5h-5M4.5 19v-5h5M18.8 10a7.5 7.5 0 0 0-12.6-2.3L4.5 9.5M5.2 14a7.5 7.5 0 0 0 12.6'
        ' 2.3l1.7-1.8"/>'
    ),
    "search": '<circle cx="11" cy="11" r="6"/><path d="m15.5 15.5 4.5 4.5"/>',
    "sort-down": '<path d="m7 13 5 5 5-5M12 18V6"/>',
    "sort-up": '<path d="m7 11 5-5 5 5M12 6v12"/>',
    "sun": (
        '<circle cx="12" cy="12" r="4"/><path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3'
        ' 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4"/>'
    ),
    "table": '<rect x="3.5" y="4.5" width="17" height="15" rx="2"/><path d="M3.5 10h17M3.5 14.7h17M9.5 10v9.5"/>',
    "trash": '<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.9 12.5h9.2L17.5 7M10.2 11v5M13.8 11v5"/>',
    "user": '<circle cx="12" cy="8" r="3.5"/><path d="M5 20c.5-4 3.3-6 7-6s6.5 2 7 6"/>',
}


def icon(name: str, size: str = "size-4", title: str | None = None) -> Markup:
    """The icon as inline SVG, hidden from screen readers unless it has a title."""
    label = Markup('role="img" aria-label="{}"').format(title) if title else Markup('aria-hidden="true"')
    return Markup(
        '<svg class="icon {}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" '
        'stroke-linecap="round" stroke-linejoin="round" {}>{}</svg>'
    ).format(size, label, Markup(SHAPES[name]))  # noqa: S704 - constants of this module
