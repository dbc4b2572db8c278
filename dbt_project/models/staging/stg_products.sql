-- Products of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'products'), ['source', 'product_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        product_id,
        product_name,
        category,
        list_price,
        updated_at
    from newest

)

select
    source,
    product_id,
    product_name,
    category,
    list_price,
    updated_at
from renamed
