"""Reader of the UCI Online Retail file (Chen, Sain, Guo 2012, doi:10.1057/dbm.2012.17), as it is published.

The file is one CSV with a row per invoice line, gzipped or not. Returns, fees and lines without a customer are in it;
what is no purchase of a product by a known customer is left out here, counted, and told in the notes.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from inferhub.demo.online_retail_file import read_lines
from inferhub.errors import InvalidInput
from inferhub.starters.samples.dataset import ITEM_SCHEMA, PURCHASE_SCHEMA, Dataset, conform, describe_orders
from inferhub.starters.samples.messages import generate_messages

SMALLEST_PRICE = 0.01
NOT_PRODUCTS = ("POST", "DOT", "C2", "M", "D", "S", "B", "CRUK", "BANK CHARGES", "AMAZONFEE")

# The first category with a word of an item's name is the item's: what it is for comes before what it is.
CATEGORIES = {
    "Christmas": "CHRISTMAS XMAS ADVENT REINDEER SNOWFLAKE SANTA NOEL STOCKING",
    "Jewellery and accessories": (
        "NECKLACE NECKLAC BRACELET BANGLE EARRING RING BROOCH HAIR SCARF UMBRELLA PURSE CHARM HEADPHONE CAP"
    ),
    "Bags and travel": "BAG HANDBAG WASHBAG SHOPPER LUGGAGE PASSPORT SUITCASE RUCKSACK",
    "Party and gift wrap": "PARTY BUNTING WRAP RIBBON BALLOON GIFT CARD GARLAND CONFETTI DOILY DOILIES",
    "Candles and lights": "CANDLE T-LIGHT LIGHT LANTERN LAMP INCENSE CANDLESTICK CHANDELIER VOTIVE",
    "Stationery": "NOTEBOOK BOOK PEN PENCIL STICKER JOURNAL ALBUM CALENDAR RULER ERASER CHALK PAPER STAMP TAPE MEMO",
    "Toys and games": "TOY GAME DOLL PLAYHOUSE SKITTLES JIGSAW PUZZLE DOMINOES CHILDREN CHILD GLIDER BINGO",
    "Kitchen and table": (
        "MUG CUP PLATE BOWL TEAPOT TEA COFFEE CAKE CAKESTAND CUPCAKE BAKING LUNCH BOTTLE JUG JAM JAR KITCHEN SPOON "
        "GLASS GLASSES TRAY TIN NAPKIN COASTER APRON OVEN EGG PANTRY CUTLERY PLACEMAT STRAW BREAD RECIPE SUGAR MOULD "
        "SAUCER DISH TABLE SNACK TOWEL FOOD POPCORN BEAKER GOBLET CHOPSTICK"
    ),
    "Garden": "GARDEN GARDENER GNOME PLANT PLANTER WATERING FLOWER BIRD PICNIC PARASOL OUTDOOR HERB SEED WICKER",
    "Home decoration": (
        "SIGN FRAME PHOTOFRAME CLOCK MIRROR MAGNET HOOK HANGER HANGING HOLDER DOORMAT DOORSTOP DOOR CUSHION DECORATION "
        "VASE WALL DRAWER CABINET HEART ORNAMENT WREATH KNOB CURTAIN THROW QUILT SHELF STOOL CHAIR RACK BLOCK LETTER "
        "ART FABRIC RUG MAT TILE"
    ),
    "Storage": "BOX BOXES BASKET STORAGE TIDY ORGANISER CHEST BIN CASE CRATE",
    "Bath and comfort": "SOAP BATH BATHROOM SHOWER WARMER SLIPPER FLANNEL TISSUE PLASTERS SPONGE",
}
OTHER = "Other"

RETURN = "are returns, cancellations or corrections of stock"
NO_PRODUCT = "have a code that is no product (postage, fees, vouchers, manual entries)"
NO_PRICE = "have no price"
NO_CUSTOMER = "name no customer"


def read_online_retail(path: Path) -> Dataset:
    """Read the file; customers' ids lose their ".0", times are taken as UTC, an item's name is its usual description.

    Raises NotFound where there is no such file, InvalidInput where it is not of this form: the message names the file
    and, for a value that cannot be read, its line and column.
    """
    lines = read_lines(path)
    notes = tuple(_count_reasons(lines))
    purchases = lines.filter(_reason().is_null()).join(_cancelled_lines(lines), on="row", how="left")
    cancelled = purchases["is_cancelled"].sum()
    if purchases.is_empty():
        raise InvalidInput(f"{path}: no line is a purchase of a product by a known customer. {' '.join(notes)}")
    return Dataset(
        name="online-retail",
        items=_items(purchases),
        purchases=conform(purchases, PURCHASE_SCHEMA).sort("occurred_at", "user_id", "item_id", "quantity", "price"),
        orders=describe_orders(_orders(purchases)).filter(pl.col("order_value") > 0),
        messages=generate_messages(),
        notes=(
            *notes,
            f"Purchases that were cancelled later and are not in the order values: {cancelled:,}.",
            "The file has no messages: those of the mailbox are generated.",
        ),
    )


def _reason() -> pl.Expr:
    """Why a line is left out, null where it is kept; the first reason counts, so that the counts add up."""
    is_return = (pl.col("quantity") <= 0) | pl.col("order_id").str.starts_with("C")
    code = pl.col("item_id").str.to_uppercase()
    reasons = {
        RETURN: is_return,
        NO_PRODUCT: code.is_in(NOT_PRODUCTS) | code.str.starts_with("GIFT_"),
        NO_PRICE: pl.col("price") < SMALLEST_PRICE,
        NO_CUSTOMER: pl.col("user_id").is_null(),
    }
    return pl.coalesce(pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items())


def _count_reasons(lines: pl.DataFrame) -> Iterator[str]:
    counts = dict(lines.group_by(_reason().alias("reason")).len().iter_rows())
    yield f"Lines that are purchases of products by known customers: {counts.get(None, 0):,} of {lines.height:,}."
    for reason in (RETURN, NO_PRODUCT, NO_PRICE, NO_CUSTOMER):
        yield f"Lines left out because they {reason}: {counts.get(reason, 0):,}."


def _cancelled_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """The rows that a later line of the same customer takes back in full, with `is_cancelled` True.

    The file does not say which purchase a cancellation belongs to: the last before it of the same item and quantity.
    """
    same = ["user_id", "item_id", "quantity"]
    ordered = (
        lines.filter(pl.col("user_id").is_not_null()).sort("occurred_at", "row").select(*same, "occurred_at", "row")
    )
    bought = ordered.filter(pl.col("quantity") > 0)
    taken_back = ordered.filter(pl.col("quantity") < 0).with_columns(-pl.col("quantity"))
    matches = taken_back.drop("row").join_asof(
        bought, on="occurred_at", by=same, strategy="backward", check_sortedness=False
    )
    return matches.select(pl.col("row").drop_nulls().unique(), is_cancelled=pl.lit(value=True))


def _items(purchases: pl.DataFrame) -> pl.DataFrame:
    """The products that were bought, each with its most frequent description and its median price."""
    names = (
        purchases.with_columns(name=pl.coalesce("description", "item_id"))
        .group_by("item_id", "name")
        .len()
        .sort(["item_id", "len", "name"], descending=[False, True, False])
        .unique("item_id", keep="first", maintain_order=True)
    )
    prices = purchases.group_by("item_id").agg(price=pl.col("price").median().round(2))
    described = names.join(prices, on="item_id", validate="1:1").with_columns(category=_category(pl.col("name")))
    return conform(described, ITEM_SCHEMA).sort("item_id")


def _category(name: pl.Expr) -> pl.Expr:
    upper = name.str.to_uppercase()
    patterns = {category: rf"\b(?:{words.replace(' ', '|')})S?\b" for category, words in CATEGORIES.items()}
    matches = (pl.when(upper.str.contains(pattern)).then(pl.lit(category)) for category, pattern in patterns.items())
    return pl.coalesce(*matches, pl.lit(OTHER))


def _orders(purchases: pl.DataFrame) -> pl.DataFrame:
    """One row per invoice, as `describe_orders` wants it; some invoices took minutes, and are complete at the last."""
    value = pl.col("quantity") * pl.col("price")
    return (
        purchases.sort("row")
        .group_by("order_id", maintain_order=True)
        .agg(
            pl.col("user_id", "region").first(),
            pl.col("occurred_at").max(),
            placed_value=value.sum().round(2),
            order_value=value.filter(pl.col("is_cancelled").is_null()).sum().round(2),
        )
    )
