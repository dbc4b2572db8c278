-- Contacts of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'contacts'), ['source', 'contact_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        contact_id,
        customer_id as source_customer_id,
        contact_name,
        title,
        phone,
        email,
        is_primary,
        updated_at,
        customer_source
    from newest

)

select
    source,
    contact_id,
    source_customer_id,
    contact_name,
    title,
    phone,
    email,
    is_primary,
    updated_at,
    customer_source
from renamed
