"""The words of the starters' tables, which requests may use, and how often each comes in the invented data.

Apart from the generators, so that what only describes a starter needs neither numpy nor polars.
"""

PAYMENTS = {"card": 0.52, "wallet": 0.24, "invoice": 0.18, "gift-card": 0.06}
"""How orders are paid."""

DELIVERIES = {"home": 0.66, "pickup-point": 0.22, "locker": 0.12}
"""Where orders go."""

REASONS = {
    "does-not-fit": 0.36,
    "changed-mind": 0.27,
    "defective": 0.15,
    "wrong-item": 0.10,
    "damaged-in-transit": 0.12,
}
"""Why articles are returned."""

CATEGORIES = {"clothing": 0.36, "shoes": 0.18, "electronics": 0.18, "home": 0.18, "beauty": 0.10}
"""What is returned."""

RANGES = {"drinks": 0.28, "snacks": 0.26, "garden": 0.14, "household": 0.20, "gifts": 0.12}
"""What a shop sells."""

PROMOTIONS = {"none": 0.78, "shelf-sign": 0.14, "leaflet": 0.08}
"""How a discount is advertised."""

NETWORKS = {"office": 0.40, "home": 0.33, "mobile": 0.19, "hosting": 0.05, "anonymising": 0.03}
"""Where sign-ins come from."""

SECOND_FACTORS = {"passed": 0.62, "none": 0.34, "failed": 0.04}
"""What came of the second factor."""

CONSCIOUSNESS = {"alert": 0.93, "confused": 0.04, "responds-to-voice": 0.02, "unresponsive": 0.01}
"""How awake a patient is."""
