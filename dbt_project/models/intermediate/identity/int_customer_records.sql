-- Every source's record of a customer, one row per source and source id.
with source as (

    {{ union_sources('customers', {
        'source_customer_id': 'varchar',
        'customer_name': 'varchar',
        'industry': 'varchar',
        'company_size': 'varchar',
        'region': 'varchar',
        'owner_name': 'varchar',
        'contact_name': 'varchar',
        'phone': 'varchar',
        'email': 'varchar',
        'tax_id': 'varchar',
        'customer_kind': 'varchar',
        'registered_on': 'date',
        'linked_source': 'varchar',
        'linked_customer_id': 'varchar',
    }) }}

)

select
    source,
    source_customer_id,
    customer_name,
    industry,
    company_size,
    region,
    owner_name,
    contact_name,
    phone,
    email,
    tax_id,
    customer_kind,
    registered_on,
    linked_source,
    linked_customer_id
from source
