-- Customers of all sources, newest version of each; a deleted one is left out.
with newest as (

    {{ newest_version(source('input_layer', 'customers'), ['source', 'customer_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        customer_id as source_customer_id,
        customer_name,
        customer_kind,
        trim({{ half_width('industry') }}) as industry,
        company_size,
        region,
        owner_id,
        owner_name,
        contact_name,
        phone,
        email,
        tax_id,
        registered_on,
        linked_customer_id,
        updated_at,
        linked_source
    from newest
    where not coalesce(is_deleted, false)

)

select
    source,
    source_customer_id,
    customer_name,
    customer_kind,
    industry,
    company_size,
    region,
    owner_id,
    owner_name,
    contact_name,
    phone,
    email,
    tax_id,
    registered_on,
    linked_customer_id,
    updated_at,
    linked_source
from renamed
