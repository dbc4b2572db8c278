-- Order lines of the shop, typed. A line is a product line or a charge (postage, fees, manual entries,
-- discounts): stock codes of products start with five digits. Spend counts product lines only.
with source as (

    {{ newest_version(
        source('online_retail', 'lines'),
        ['invoice_no', 'stock_code', 'description', 'quantity', 'invoice_date', 'unit_price', 'customer_id', 'country'],
        'invoice_date'
    ) }}

),

renamed as (

    select
        invoice_no as order_id,
        _row_id as line_id,
        upper(trim(stock_code)) as product_id,
        trim(description) as product_name,
        regexp_replace(trim(customer_id), '[.]0$', '') as source_customer_id,
        country,
        {{ parse_timestamp('invoice_date') }} as invoiced_at,
        {{ parse_date('invoice_date') }} as ordered_on,
        left(upper(invoice_no), 1) = 'C' as is_return,
        substr(trim(stock_code), 1, 5) between '00000' and '99999' and length(trim(stock_code)) >= 5 as is_product,
        try_cast(quantity as decimal(18, 3)) as quantity,
        cast(try_cast(quantity as decimal(18, 3)) * try_cast(unit_price as decimal(18, 3)) as decimal(18, 2))
            as net_amount
    from source

)

select
    order_id,
    line_id,
    product_id,
    product_name,
    source_customer_id,
    country,
    invoiced_at,
    ordered_on,
    is_return,
    is_product,
    quantity,
    net_amount
from renamed
