"""ERP: a SQL database; rows are read by their ``updated_at``."""

from customer_tiering.sources.base import Entity, Source

SOURCE = Source(
    name="erp",
    label_en="ERP",
    label_zh="ERP 系统",
    entities=(
        Entity(
            name="customers",
            table="customers",
            cursor="updated_at",
            key=("customer_code",),
            version="updated_at",
            columns=(
                "customer_code", "customer_name", "tax_id", "industry", "company_size", "region", "phone", "email",
                "registered_on", "status", "created_at", "updated_at",
            ),
            pii={"phone": "phone", "email": "email"},
        ),
        Entity(
            name="products",
            table="products",
            cursor="updated_at",
            key=("product_code",),
            version="updated_at",
            columns=("product_code", "product_name", "category", "list_price", "created_at", "updated_at"),
        ),
        Entity(
            name="orders",
            table="orders",
            cursor="updated_at",
            key=("order_no",),
            version="updated_at",
            columns=(
                "order_no", "customer_code", "order_date", "status", "currency", "channel", "net_amount",
                "tax_amount", "gross_amount", "created_at", "updated_at",
            ),
        ),
        Entity(
            name="order_lines",
            table="order_lines",
            cursor="updated_at",
            key=("order_no", "line_no"),
            version="updated_at",
            columns=(
                "order_no", "line_no", "product_code", "quantity", "unit_price", "net_amount", "gross_amount",
                "cost_amount", "created_at", "updated_at",
            ),
        ),
        Entity(
            name="invoices",
            table="invoices",
            cursor="updated_at",
            key=("invoice_no",),
            version="updated_at",
            columns=(
                "invoice_no", "order_no", "customer_code", "invoice_date", "due_date", "gross_amount",
                "created_at", "updated_at",
            ),
        ),
        Entity(
            name="payments",
            table="payments",
            cursor="updated_at",
            key=("payment_no",),
            version="updated_at",
            columns=(
                "payment_no", "invoice_no", "customer_code", "paid_date", "amount", "created_at", "updated_at",
            ),
        ),
    ),
)
