-- What accepted rows say about the sampled customers, read without staging: confirmed orders and returns, their product
-- lines, invoices by their due day, and (for no customer) the categories on offer. Amounts in the reporting currency.
-- Tables are read where they are narrowed, not through a CTE of their own: engines keep a CTE that is used twice.
with sampled as (

    select distinct
        ids.source,
        ids.source_customer_id,
        ids.customer_id
    from {{ ref('int_customer_ids') }} as ids
    inner join {{ ref('audit_customers') }} as customers
        on ids.customer_id = customers.customer_id

),

mapped as (

    select
        source,
        input_table
    from {{ source('pipeline', 'input_tables') }}

),

-- All versions of an order that was a sampled customer's at any time: the last version says whose it is.
order_versions as (

    select * from {{ source('input_layer', 'orders') }}
    where
        not _is_merged
        and (source, order_id) in (
            select
                any_version.source,
                any_version.order_id
            from {{ source('input_layer', 'orders') }} as any_version
            inner join sampled
                on
                    any_version.customer_source = sampled.source
                    and any_version.customer_id = sampled.source_customer_id
            where not any_version._is_merged
        )

),

orders as (

    {{ without_later_version('order_versions', ['source', 'order_id'], 'updated_at') }}

),

-- Lines of these orders, and those that are somebody's without an order of their own.
line_versions as (

    select * from {{ source('input_layer', 'order_lines') }}
    where
        not _is_merged
        and line_type = 'product'
        and (
            (source, order_id) in (select (orders.source, orders.order_id) from orders)
            or (customer_source, customer_id) in (
                select (sampled.source, sampled.source_customer_id) from sampled
            )
        )

),

lines as (

    {{ without_later_version('line_versions', ['source', 'order_id', 'line_id'], 'updated_at') }}

),

bought as (

    select
        orders.source,
        orders.order_id,
        orders.customer_source,
        orders.customer_id,
        orders.order_type,
        orders.status,
        orders.currency,
        orders.ordered_on,
        orders.net_amount,
        orders.gross_amount
    from orders
    union all
    select
        lines.source,
        lines.order_id,
        lines.customer_source,
        lines.customer_id,
        lines.order_type,
        min(coalesce(lines.status, 'confirmed')) as status,
        min(lines.currency) as currency,
        min(lines.ordered_on) as ordered_on,
        cast(sum(lines.net_amount) as decimal(18, 2)) as net_amount,
        cast(sum(lines.net_amount) as decimal(18, 2)) as gross_amount
    from lines
    where
        lines.source not in (
            select mapped.source from mapped
            where mapped.input_table = 'orders'
        )
    group by
        lines.source,
        lines.order_id,
        lines.customer_source,
        lines.customer_id,
        lines.order_type

),

-- A return is negative; an order below zero is one.
confirmed as (

    select
        bought.source,
        bought.order_id,
        sampled.customer_id,
        bought.currency,
        bought.ordered_on,
        coalesce(bought.order_type, case when bought.net_amount < 0 then 'return' else 'sale' end) = 'return'
            as is_return,
        bought.net_amount,
        bought.gross_amount
    from bought
    inner join sampled
        on
            bought.customer_source = sampled.source
            and bought.customer_id = sampled.source_customer_id
    where bought.status = 'confirmed'

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
        confirmed.source,
        confirmed.order_id,
        confirmed.customer_id,
        confirmed.is_return,
        cast(
            case when confirmed.currency is null then 1 else max_by(rates.rate, rates.valid_from) end as decimal(18, 8)
        )
        * case when confirmed.is_return then -1 else 1 end as signed_rate
    from confirmed
    left join rates
        on
            confirmed.currency = rates.currency
            and confirmed.ordered_on >= rates.valid_from
    group by
        confirmed.source,
        confirmed.order_id,
        confirmed.customer_id,
        confirmed.is_return,
        confirmed.currency

),

product_versions as (

    select * from {{ source('input_layer', 'products') }}
    where not _is_merged

),

products as (

    {{ without_later_version('product_versions', ['source', 'product_id'], 'updated_at') }}

),

invoice_versions as (

    select * from {{ source('input_layer', 'invoices') }}
    where
        not _is_merged
        and (source, invoice_id) in (
            select
                any_version.source,
                any_version.invoice_id
            from {{ source('input_layer', 'invoices') }} as any_version
            inner join sampled
                on
                    any_version.customer_source = sampled.source
                    and any_version.customer_id = sampled.source_customer_id
            where not any_version._is_merged
        )

),

invoices as (

    {{ without_later_version('invoice_versions', ['source', 'invoice_id'], 'updated_at') }}

),

payment_versions as (

    select * from {{ source('input_layer', 'payments') }}
    where
        not _is_merged
        and (source, payment_id) in (
            select
                any_version.source,
                any_version.payment_id
            from {{ source('input_layer', 'payments') }} as any_version
            inner join invoices
                on
                    any_version.source = invoices.source
                    and any_version.invoice_id = invoices.invoice_id
            where not any_version._is_merged
        )

),

payments as (

    {{ without_later_version('payment_versions', ['source', 'payment_id'], 'updated_at') }}

),

-- What had been paid when a payment arrived: itself and the payments before it.
paid_by_then as (

    select
        payments.source,
        payments.invoice_id,
        payments.paid_on,
        sum(earlier.amount) as paid
    from payments
    inner join payments as earlier
        on
            payments.source = earlier.source
            and payments.invoice_id = earlier.invoice_id
            and (
                payments.paid_on > earlier.paid_on
                or (payments.paid_on = earlier.paid_on and payments.payment_id >= earlier.payment_id)
            )
    group by payments.source, payments.invoice_id, payments.payment_id, payments.paid_on

),

settled as (

    select
        invoices.source,
        invoices.invoice_id,
        sampled.customer_id,
        invoices.due_on,
        coalesce(min(paid_by_then.paid_on), min(invoices.paid_on)) as settled_on
    from invoices
    inner join sampled
        on
            invoices.customer_source = sampled.source
            and invoices.customer_id = sampled.source_customer_id
    left join paid_by_then
        on
            invoices.source = paid_by_then.source
            and invoices.invoice_id = paid_by_then.invoice_id
            and invoices.amount <= paid_by_then.paid
    group by invoices.source, invoices.invoice_id, sampled.customer_id, invoices.due_on

),

-- Unpaid is a fact only where payments are known and none of the invoice's waits in quarantine.
known_invoices as (

    select
        settled.customer_id,
        settled.due_on,
        settled.settled_on
    from settled
    where
        settled.settled_on is not null
        or (
            settled.source in (
                select mapped.source from mapped
                where mapped.input_table = 'payments'
            )
            and not exists (
                select 1
                from {{ source('pipeline', 'waiting_payments') }} as waiting
                where
                    waiting.source = settled.source
                    and waiting.invoice_id = settled.invoice_id
            )
        )

),

offered as (

    select category from products
    union
    select category from {{ source('input_layer', 'order_lines') }}
    where
        not _is_merged
        and line_type = 'product'
        and source not in (
            select mapped.source from mapped
            where mapped.input_table = 'products'
        )

),

facts as (

    select
        confirmed.customer_id,
        case when confirmed.is_return then 'return' else 'sale' end as fact,
        confirmed.ordered_on as happened_on,
        cast(null as date) as settled_on,
        cast(null as varchar) as category,
        cast(null as varchar) as product,
        cast(round(
            cast(
                case when confirmed.is_return then abs(confirmed.net_amount) else confirmed.net_amount end
                as decimal(20, 2)
            )
            * rated.signed_rate, 2
        ) as decimal(18, 2)) as net_amount,
        cast(round(
            cast(
                case when confirmed.is_return then abs(confirmed.gross_amount) else confirmed.gross_amount end
                as decimal(20, 2)
            )
            * rated.signed_rate, 2
        ) as decimal(18, 2)) as gross_amount,
        cast(null as decimal(18, 2)) as cost_amount
    from confirmed
    inner join rated
        on
            confirmed.source = rated.source
            and confirmed.order_id = rated.order_id
            and confirmed.customer_id = rated.customer_id
            and confirmed.is_return = rated.is_return
    union all
    select
        confirmed.customer_id,
        case when confirmed.is_return then 'returned_line' else 'sold_line' end as fact,
        confirmed.ordered_on as happened_on,
        cast(null as date) as settled_on,
        coalesce(products.category, lines.category) as category,
        lines.source || ' ' || lines.product_id as product,
        cast(round(
            cast(
                case when confirmed.is_return then abs(lines.net_amount) else lines.net_amount end
                as decimal(20, 2)
            )
            * rated.signed_rate, 2
        ) as decimal(18, 2)) as net_amount,
        cast(null as decimal(18, 2)) as gross_amount,
        cast(round(
            cast(
                case when confirmed.is_return then abs(lines.cost_amount) else lines.cost_amount end
                as decimal(20, 2)
            )
            * rated.signed_rate, 2
        ) as decimal(18, 2)) as cost_amount
    from lines
    inner join confirmed
        on
            lines.source = confirmed.source
            and lines.order_id = confirmed.order_id
    inner join rated
        on
            confirmed.source = rated.source
            and confirmed.order_id = rated.order_id
            and confirmed.customer_id = rated.customer_id
            and confirmed.is_return = rated.is_return
    left join products
        on
            lines.source = products.source
            and lines.product_id = products.product_id
    union all
    select
        customer_id,
        'invoice' as fact,
        due_on as happened_on,
        settled_on,
        cast(null as varchar) as category,
        cast(null as varchar) as product,
        cast(null as decimal(18, 2)) as net_amount,
        cast(null as decimal(18, 2)) as gross_amount,
        cast(null as decimal(18, 2)) as cost_amount
    from known_invoices
    union all
    select
        cast(null as varchar) as customer_id,
        'offered' as fact,
        cast(null as date) as happened_on,
        cast(null as date) as settled_on,
        category,
        cast(null as varchar) as product,
        cast(null as decimal(18, 2)) as net_amount,
        cast(null as decimal(18, 2)) as gross_amount,
        cast(null as decimal(18, 2)) as cost_amount
    from offered

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
