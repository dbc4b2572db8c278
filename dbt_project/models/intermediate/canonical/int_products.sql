-- Products offered, over all sources; where a source has no list of them, those seen on order lines.
with products as (

    select * from {{ ref('stg_products') }}

),

lines as (

    select * from {{ ref('stg_order_lines') }}

),

with_products as (

    select source from {{ source('pipeline', 'input_tables') }}
    where input_table = 'products'

),

from_lines as (

    select
        lines.source,
        lines.product_id,
        max(lines.product_name) as product_name,
        max(lines.category) as category
    from lines
    where
        lines.line_type = 'product'
        and lines.product_id is not null
        and lines.source not in (select with_products.source from with_products)
    group by lines.source, lines.product_id

)

select
    source,
    product_id,
    product_name,
    category
from products
union all
select
    source,
    product_id,
    product_name,
    category
from from_lines
