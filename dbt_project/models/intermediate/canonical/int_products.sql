-- Products offered, over all sources.
with source as (

    {{ union_sources('products', {
        'product_id': 'varchar',
        'product_name': 'varchar',
        'category': 'varchar',
    }) }}

)

select
    source,
    product_id,
    product_name,
    category
from source
