-- Order lines of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'order_lines'), ['source', 'order_id', 'line_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        order_id,
        line_id,
        line_type,
        product_id,
        product_name,
        category,
        quantity,
        unit_price,
        net_amount,
        cost_amount,
        customer_id as source_customer_id,
        customer_name,
        ordered_on,
        order_type,
        status,
        currency,
        channel,
        region,
        updated_at,
        customer_source
    from newest

)

select
    source,
    order_id,
    line_id,
    line_type,
    product_id,
    product_name,
    category,
    quantity,
    unit_price,
    net_amount,
    cost_amount,
    source_customer_id,
    customer_name,
    ordered_on,
    order_type,
    status,
    currency,
    channel,
    region,
    updated_at,
    customer_source
from renamed
