-- Products that the company offers, newest version of each.
with source as (

    {{ newest_version(source('erp', 'products'), ['product_code'], 'updated_at') }}

),

renamed as (

    select
        product_code as product_id,
        product_name,
        category
    from source

)

select
    product_id,
    product_name,
    category
from renamed
