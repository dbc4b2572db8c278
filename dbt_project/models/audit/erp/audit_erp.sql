-- What the ERP's raw rows say about the sampled customers, read without staging: confirmed orders, their lines,
-- invoices by their due day, and (for no customer) the categories on offer. Amounts in the reporting currency. Raw
-- tables are read where they are narrowed, not through a CTE of their own: engines keep a CTE that is used twice.
with sampled as (

    {{ sampled_ids('erp') }}

),

-- All versions of an order that was a sampled customer's at any time: the last version says whose it is.
order_versions as (

    select * from {{ source('erp', 'orders') }}
    where
        not _is_merged
        and order_no in (
            select any_version.order_no
            from {{ source('erp', 'orders') }} as any_version
            inner join sampled
                on any_version.customer_code = sampled.source_customer_id
            where not any_version._is_merged
        )

),

orders as (

    {{ without_later_version('order_versions', ['order_no'], 'updated_at') }}

),

confirmed as (

    select
        orders.order_no,
        sampled.customer_id,
        orders.currency,
        {{ parse_date('orders.order_date') }} as ordered_on,
        {{ parse_money('orders.net_amount') }} as net_amount,
        {{ parse_money('orders.gross_amount') }} as gross_amount
    from orders
    inner join sampled
        on orders.customer_code = sampled.source_customer_id
    where orders.status = 'confirmed'

),

rates as (

    select
        rates.currency,
        rates.valid_from,
        rates.rate
    from {{ source('rules', 'exchange_rates') }} as rates
    where rates.rules_version in (select customers.rules_version from {{ ref('audit_customers') }} as customers)

),

-- The last rate that had begun by the day of the order; an order that names no currency is in the reporting one.
rated as (

    select
        confirmed.order_no,
        cast(
            case when confirmed.currency is null then 1 else max_by(rates.rate, rates.valid_from) end as decimal(18, 8)
        ) as rate
    from confirmed
    left join rates
        on
            confirmed.currency = rates.currency
            and confirmed.ordered_on >= rates.valid_from
    group by confirmed.order_no, confirmed.currency

),

line_versions as (

    select * from {{ source('erp', 'order_lines') }}
    where not _is_merged and order_no in (select confirmed.order_no from confirmed)

),

lines as (

    {{ without_later_version('line_versions', ['order_no', 'line_no'], 'updated_at') }}

),

product_versions as (

    select * from {{ source('erp', 'products') }}
    where not _is_merged

),

products as (

    {{ without_later_version('product_versions', ['product_code'], 'updated_at') }}

),

invoice_versions as (

    select * from {{ source('erp', 'invoices') }}
    where
        not _is_merged
        and invoice_no in (
            select any_version.invoice_no
            from {{ source('erp', 'invoices') }} as any_version
            inner join sampled
                on any_version.customer_code = sampled.source_customer_id
            where not any_version._is_merged
        )

),

invoices as (

    {{ without_later_version('invoice_versions', ['invoice_no'], 'updated_at') }}

),

payment_versions as (

    select * from {{ source('erp', 'payments') }}
    where
        not _is_merged
        and payment_no in (
            select any_version.payment_no
            from {{ source('erp', 'payments') }} as any_version
            inner join invoices
                on any_version.invoice_no = invoices.invoice_no
            where not any_version._is_merged
        )

),

payments as (

    select
        payment_no,
        invoice_no,
        {{ parse_date('paid_date') }} as paid_on,
        {{ parse_money('amount') }} as amount
    from ({{ without_later_version('payment_versions', ['payment_no'], 'updated_at') }}) as newest

),

-- What had been paid when a payment arrived: itself and the payments before it.
paid_by_then as (

    select
        payments.invoice_no,
        payments.paid_on,
        sum(earlier.amount) as paid
    from payments
    inner join payments as earlier
        on
            payments.invoice_no = earlier.invoice_no
            and (
                payments.paid_on > earlier.paid_on
                or (payments.paid_on = earlier.paid_on and payments.payment_no >= earlier.payment_no)
            )
    group by payments.invoice_no, payments.payment_no, payments.paid_on

),

settled as (

    select
        invoices.invoice_no,
        min(paid_by_then.paid_on) as settled_on
    from invoices
    inner join paid_by_then
        on
            invoices.invoice_no = paid_by_then.invoice_no
            and paid_by_then.paid >= {{ parse_money('invoices.gross_amount') }}
    group by invoices.invoice_no

),

facts as (

    select
        confirmed.customer_id,
        'sale' as fact,
        confirmed.ordered_on as happened_on,
        cast(null as date) as settled_on,
        cast(null as varchar) as category,
        cast(null as varchar) as product,
        cast(round(confirmed.net_amount * rated.rate, 2) as decimal(18, 2)) as net_amount,
        cast(round(confirmed.gross_amount * rated.rate, 2) as decimal(18, 2)) as gross_amount,
        cast(null as decimal(18, 2)) as cost_amount
    from confirmed
    inner join rated
        on confirmed.order_no = rated.order_no
    union all
    select
        confirmed.customer_id,
        'sold_line' as fact,
        confirmed.ordered_on as happened_on,
        cast(null as date) as settled_on,
        products.category,
        'erp ' || lines.product_code as product,
        cast(round({{ parse_money('lines.net_amount') }} * rated.rate, 2) as decimal(18, 2)) as net_amount,
        cast(null as decimal(18, 2)) as gross_amount,
        cast(round({{ parse_money('lines.cost_amount') }} * rated.rate, 2) as decimal(18, 2)) as cost_amount
    from lines
    inner join confirmed
        on lines.order_no = confirmed.order_no
    inner join rated
        on lines.order_no = rated.order_no
    left join products
        on lines.product_code = products.product_code
    union all
    select
        sampled.customer_id,
        'invoice' as fact,
        {{ parse_date('invoices.due_date') }} as happened_on,
        settled.settled_on,
        cast(null as varchar) as category,
        cast(null as varchar) as product,
        cast(null as decimal(18, 2)) as net_amount,
        cast(null as decimal(18, 2)) as gross_amount,
        cast(null as decimal(18, 2)) as cost_amount
    from invoices
    inner join sampled
        on invoices.customer_code = sampled.source_customer_id
    left join settled
        on invoices.invoice_no = settled.invoice_no
    union all
    select distinct
        cast(null as varchar) as customer_id,
        'offered' as fact,
        cast(null as date) as happened_on,
        cast(null as date) as settled_on,
        category,
        cast(null as varchar) as product,
        cast(null as decimal(18, 2)) as net_amount,
        cast(null as decimal(18, 2)) as gross_amount,
        cast(null as decimal(18, 2)) as cost_amount
    from products

)

select
    customer_id,
    fact,
    happened_on,
    settled_on,
    category,
    product,
    net_amount,
    gross_amount,
    cost_amount
from facts
