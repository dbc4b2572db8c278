-- Orders of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'orders'), ['source', 'order_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        order_id,
        customer_id as source_customer_id,
        customer_name,
        ordered_on,
        order_type,
        status,
        currency,
        channel,
        region,
        net_amount,
        gross_amount,
        updated_at,
        customer_source
    from newest

)

select
    source,
    order_id,
    source_customer_id,
    customer_name,
    ordered_on,
    order_type,
    status,
    currency,
    channel,
    region,
    net_amount,
    gross_amount,
    updated_at,
    customer_source
from renamed
