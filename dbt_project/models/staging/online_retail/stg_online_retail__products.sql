-- Products seen on lines. The shop has no categories: a product's five-digit stock number is its family.
with lines as (

    select * from {{ ref('stg_online_retail__lines') }}

)

select
    product_id,
    max(product_name) as product_name,
    substr(product_id, 1, 5) as category
from lines
where is_product
group by product_id
