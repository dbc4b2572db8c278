"""UCI Online Retail: one gzip CSV of order lines per trading day.

The files carry no line number: two lines of an invoice that agree in every column are one line delivered
twice, so the key is the whole row.
"""

from customer_tiering.sources.base import Entity, Source

_HEADERS = {
    "invoice_no": "InvoiceNo",
    "stock_code": "StockCode",
    "description": "Description",
    "quantity": "Quantity",
    "invoice_date": "InvoiceDate",
    "unit_price": "UnitPrice",
    "customer_id": "CustomerID",
    "country": "Country",
}

SOURCE = Source(
    name="online_retail",
    label_en="Online shop order lines",
    label_zh="网店订单明细",
    entities=(
        Entity(
            name="lines",
            files="*.csv.gz",
            columns=tuple(_HEADERS),
            headers=_HEADERS,
            key=tuple(_HEADERS),
            version="invoice_date",
        ),
    ),
)
