"""The words and prices that the generated catalogue is made of; every shop, style and product is invented."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """One category of the shop. `things` maps each kind of product to its usual price.

    `wording` names the qualifiers that suit it (a key of each style in `STYLES`). `peak_month` (1 to 12) is when it
    sells best and `season` how much: 0 is all year round, 1 is hardly at all half a year later.
    """

    name: str
    code: str
    wording: str
    is_consumable: bool
    peak_month: int
    season: float
    things: dict[str, float]


RANGES = (
    Range(
        name="Coffee and tea",
        code="CT",
        wording="taste",
        is_consumable=True,
        peak_month=1,
        season=0.2,
        things={
            "Coffee Beans 250 g": 8.5,
            "Ground Coffee 500 g": 13,
            "Coffee Capsules (20)": 9,
            "Loose Leaf Tea": 7,
            "Tea Bags (40)": 5,
            "Drinking Chocolate": 6.5,
            "Cold Brew Bags": 8,
            "Herbal Infusion": 5.5,
            "Chai Blend": 7.5,
            "Coffee Syrup": 6,
        },
    ),
    Range(
        name="Pantry",
        code="PA",
        wording="taste",
        is_consumable=True,
        peak_month=12,
        season=0.3,
        things={
            "Shortbread": 4.5,
            "Granola": 6,
            "Preserve": 4.5,
            "Chocolate Bar": 3.5,
            "Brittle": 4,
            "Infused Olive Oil": 11,
            "Cordial": 5.5,
            "Crackers": 3.5,
            "Fudge": 4.5,
            "Biscotti": 5,
        },
    ),
    Range(
        name="Bath and body",
        code="BB",
        wording="taste",
        is_consumable=True,
        peak_month=12,
        season=0.2,
        things={
            "Hand Soap": 6,
            "Shower Gel": 7,
            "Hand Cream": 8,
            "Bath Salts": 9,
            "Shampoo Bar": 7.5,
            "Lip Balm": 3.5,
            "Body Scrub": 11,
            "Bath Bombs (6)": 9.5,
            "Body Lotion": 12,
            "Soap Bar": 4,
        },
    ),
    Range(
        name="Candles and scent",
        code="CS",
        wording="taste",
        is_consumable=True,
        peak_month=12,
        season=0.6,
        things={
            "Pillar Candle": 9,
            "Votive Candles (4)": 7,
            "Reed Diffuser": 18,
            "Room Spray": 10,
            "Tea Lights (24)": 5.5,
            "Jar Candle": 15,
            "Wax Melts": 5,
            "Incense Sticks": 4,
            "Travel Tin Candle": 8,
            "Diffuser Refill": 11,
        },
    ),
    Range(
        name="Kitchen and table",
        code="KT",
        wording="finish",
        is_consumable=False,
        peak_month=11,
        season=0.3,
        things={
            "Serving Board": 24,
            "Salad Bowl": 28,
            "Pepper Mill": 22,
            "Coffee Pot": 34,
            "Mug": 9,
            "Cake Stand": 26,
            "Bread Bin": 36,
            "Utensil Jar": 15,
            "Egg Cups (2)": 8,
            "Milk Jug": 12,
        },
    ),
    Range(
        name="Home textiles",
        code="HT",
        wording="pattern",
        is_consumable=False,
        peak_month=10,
        season=0.3,
        things={
            "Tea Towel": 8,
            "Cushion Cover": 18,
            "Throw": 45,
            "Table Runner": 22,
            "Napkins (4)": 14,
            "Bath Towel": 19,
            "Apron": 21,
            "Oven Glove": 12,
            "Bed Linen Set": 69,
            "Curtain Pair": 58,
        },
    ),
    Range(
        name="Lighting and decoration",
        code="LD",
        wording="finish",
        is_consumable=False,
        peak_month=11,
        season=0.5,
        things={
            "Table Lamp": 52,
            "Wall Clock": 34,
            "Photo Frame": 14,
            "Vase": 19,
            "Lantern": 23,
            "Mirror": 48,
            "Candle Holder": 11,
            "Bookends (2)": 24,
            "Pendant Shade": 39,
            "Trinket Tray": 12,
        },
    ),
    Range(
        name="Stationery and gift wrap",
        code="SG",
        wording="pattern",
        is_consumable=False,
        peak_month=12,
        season=0.7,
        things={
            "Notebook": 7,
            "Gift Wrap 5 m": 4.5,
            "Greeting Cards (8)": 6,
            "Desk Planner": 12,
            "Pencil Set": 5,
            "Ribbon 10 m": 3.5,
            "Photo Album": 17,
            "Letter Set": 8,
            "Sticker Sheets": 3,
            "Wall Calendar": 11,
        },
    ),
    Range(
        name="Garden",
        code="GA",
        wording="finish",
        is_consumable=False,
        peak_month=5,
        season=0.9,
        things={
            "Herb Planter": 16,
            "Watering Can": 24,
            "Bird Feeder": 15,
            "Plant Stand": 32,
            "Wind Chime": 18,
            "Garden Lantern": 27,
            "Tool Caddy": 21,
            "Bird Bath": 42,
            "Hanging Basket": 17,
            "Boot Tray": 19,
        },
    ),
    Range(
        name="Toys and games",
        code="TG",
        wording="pattern",
        is_consumable=False,
        peak_month=12,
        season=0.8,
        things={
            "Stacking Rings": 13,
            "Soft Rabbit": 16,
            "Jigsaw (200 Pieces)": 14,
            "Building Blocks": 22,
            "Skittles Set": 24,
            "Kite": 15,
            "Rag Doll": 19,
            "Spinning Top": 6,
            "Memory Game": 11,
            "Play Tent": 59,
        },
    ),
)

# A style runs through the whole shop: who likes the woodland candles tends to like the woodland cushions.
STYLES: dict[str, dict[str, tuple[str, ...]]] = {
    "woodland": {
        "taste": ("Hazelnut", "Chestnut", "Blackberry", "Fig", "Wild Honey"),
        "finish": ("Walnut", "Oak", "Olive Wood", "Acacia", "Cork"),
        "pattern": ("Fern Print", "Moss Green", "Acorn Print", "Bark Brown", "Fox Print"),
    },
    "coastal": {
        "taste": ("Sea Salt", "Coconut", "Vanilla", "Caramel", "Almond"),
        "finish": ("Driftwood", "Sea Glass", "Whitewashed", "Weathered Teak", "Shell White"),
        "pattern": ("Deckchair Stripe", "Seagull Print", "Harbour Blue", "Pebble Print", "Lighthouse Print"),
    },
    "orchard": {
        "taste": ("Lemon", "Blood Orange", "Grapefruit", "Ginger", "Apple"),
        "finish": ("Yellow Enamel", "Terrazzo", "Red Enamel", "Glazed Terracotta", "Rattan"),
        "pattern": ("Lemon Print", "Pear Print", "Gingham", "Sunny Yellow", "Cherry Print"),
    },
    "cottage": {
        "taste": ("Lavender", "Rose", "Elderflower", "Chamomile", "Jasmine"),
        "finish": ("Rose-Painted", "Fluted Glass", "Cream Stoneware", "Speckled Ceramic", "Vintage Zinc"),
        "pattern": ("Meadow Print", "Dusky Pink", "Polka Dot", "Wild Rose Print", "Lilac"),
    },
    "workshop": {
        "taste": ("Espresso", "Black Pepper", "Clove", "Star Anise", "Dark Cocoa"),
        "finish": ("Brushed Steel", "Copper", "Slate", "Concrete", "Blackened Brass"),
        "pattern": ("Charcoal Grey", "Blueprint", "Pinstripe", "Rust Red", "Grid Check"),
    },
    "nordic": {
        "taste": ("Cardamom", "Juniper", "Lingonberry", "Birch", "Oat"),
        "finish": ("Birch", "Matt White", "Pale Ash", "Grey Stoneware", "Frosted Glass"),
        "pattern": ("Snowflake Print", "Oatmeal", "Reindeer Print", "Ice Blue", "Herringbone"),
    },
}

# Bought together: who puts the first in the basket often adds the second, in the same style where there is one.
COMPANIONS = {
    "Coffee Beans 250 g": "Coffee Pot",
    "Ground Coffee 500 g": "Biscotti",
    "Loose Leaf Tea": "Shortbread",
    "Tea Bags (40)": "Mug",
    "Chai Blend": "Milk Jug",
    "Granola": "Drinking Chocolate",
    "Crackers": "Preserve",
    "Infused Olive Oil": "Salad Bowl",
    "Hand Soap": "Hand Cream",
    "Shower Gel": "Body Lotion",
    "Bath Salts": "Bath Towel",
    "Pillar Candle": "Candle Holder",
    "Reed Diffuser": "Diffuser Refill",
    "Tea Lights (24)": "Lantern",
    "Serving Board": "Tea Towel",
    "Cake Stand": "Napkins (4)",
    "Apron": "Oven Glove",
    "Cushion Cover": "Throw",
    "Table Lamp": "Pendant Shade",
    "Photo Frame": "Photo Album",
    "Gift Wrap 5 m": "Ribbon 10 m",
    "Notebook": "Pencil Set",
    "Greeting Cards (8)": "Sticker Sheets",
    "Herb Planter": "Watering Can",
    "Bird Feeder": "Bird Bath",
    "Stacking Rings": "Soft Rabbit",
    "Memory Game": "Jigsaw (200 Pieces)",
}

# Region: share of the customers, and how their baskets compare (who waits longer for a parcel orders more at once).
REGIONS = {
    "Coast": (0.30, 1.0),
    "Lowlands": (0.34, 0.95),
    "Hills": (0.18, 1.1),
    "Capital": (0.12, 0.85),
    "Islands": (0.06, 1.7),
}
