-- Order headers, newest version of each; a cancelled order is kept with its status.
with source as (

    {{ newest_version(source('erp', 'orders'), ['order_no'], 'updated_at') }}

),

renamed as (

    select
        order_no as order_id,
        'erp' as customer_source,
        customer_code as source_customer_id,
        {{ parse_date('order_date') }} as ordered_on,
        'sale' as order_type,
        status,
        currency,
        channel,
        {{ parse_money('net_amount') }} as net_amount,
        {{ parse_money('gross_amount') }} as gross_amount
    from source

)

select
    order_id,
    customer_source,
    source_customer_id,
    ordered_on,
    order_type,
    status,
    currency,
    channel,
    net_amount,
    gross_amount
from renamed
