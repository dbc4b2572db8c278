-- Order lines with cost, newest version of each.
with source as (

    {{ newest_version(source('erp', 'order_lines'), ['order_no', 'line_no'], 'updated_at') }}

),

renamed as (

    select
        order_no as order_id,
        line_no as line_id,
        product_code as product_id,
        try_cast(quantity as decimal(18, 3)) as quantity,
        {{ parse_money('net_amount') }} as net_amount,
        {{ parse_money('cost_amount') }} as cost_amount
    from source

)

select
    order_id,
    line_id,
    product_id,
    quantity,
    net_amount,
    cost_amount
from renamed
