-- Orders and returns of identified customers, in the reporting currency: amounts times the rate in force on the order
-- date, rounded to cents; what was sold stays beside them. An order that names no currency is in the reporting one.
with as_sold as (

    select * from {{ ref('int_orders_as_sold') }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

),

rates as (

    select * from {{ ref('int_exchange_rates') }}

),

rated as (

    select
        as_sold.source,
        as_sold.order_id,
        ids.customer_id,
        as_sold.ordered_on,
        as_sold.order_type,
        as_sold.status,
        as_sold.currency,
        as_sold.channel,
        as_sold.net_amount as original_net_amount,
        as_sold.gross_amount as original_gross_amount,
        case when as_sold.currency is null then cast(1 as decimal(18, 8)) else rates.rate end as exchange_rate
    from as_sold
    left join ids
        on
            as_sold.customer_source = ids.source
            and as_sold.source_customer_id = ids.source_customer_id
    left join rates
        on
            as_sold.currency = rates.currency
            and as_sold.ordered_on >= rates.valid_from
            and (rates.next_valid_from is null or as_sold.ordered_on < rates.next_valid_from)

)

select
    source,
    order_id,
    customer_id,
    ordered_on,
    order_type,
    status,
    currency,
    channel,
    exchange_rate,
    original_net_amount,
    original_gross_amount,
    {{ in_reporting_currency('original_net_amount', 'exchange_rate') }} as net_amount,
    {{ in_reporting_currency('original_gross_amount', 'exchange_rate') }} as gross_amount
from rated
