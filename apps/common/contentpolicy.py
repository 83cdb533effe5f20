"""The Content-Security-Policy of every page, wherever it is made: the site, the admin, error pages, the gateway (U4).

Nothing inline and nothing from elsewhere. The order is that of issue 7, so the header reads the same everywhere.
"""

from typing import Final

REPORT_PATH: Final = "/csp-report"
DIRECTIVES: Final[dict[str, list[str]]] = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
    "report-uri": [REPORT_PATH],
}
POLICY: Final = "; ".join(f"{name} {' '.join(sources)}" for name, sources in DIRECTIVES.items())

# No text becomes markup or code by way of the DOM, and no script may make a policy that lets one (threat-T15).
TRUSTED_TYPES: Final[dict[str, list[str]]] = {
    "require-trusted-types-for": ["'script'"],
    "trusted-types": ["'none'"],
}
# Camera, position and the like are nobody's; passkeys and the clipboard are this origin's own.
PERMISSIONS: Final = ", ".join(
    [
        *(
            f"{feature}=()"
            for feature in (
                "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media",
                "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer", "microphone",
                "midi", "payment", "picture-in-picture", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
            )
        ),
        *(
            f"{feature}=(self)"
            for feature in ("clipboard-write", "publickey-credentials-create", "publickey-credentials-get")
        ),
    ]
)  # fmt: skip
