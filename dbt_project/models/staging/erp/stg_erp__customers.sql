-- The ERP's customer master in canonical form, newest version of each customer.
with source as (

    {{ newest_version(source('erp', 'customers'), ['customer_code'], 'updated_at') }}

),

renamed as (

    select
        customer_code as source_customer_id,
        trim(customer_name) as customer_name,
        trim({{ half_width('industry') }}) as industry,
        company_size,
        region,
        tax_id,
        {{ normalise_phone('phone') }} as phone,
        lower(trim(email)) as email,
        {{ parse_date('registered_on') }} as registered_on
    from source

)

select
    source_customer_id,
    customer_name,
    industry,
    company_size,
    region,
    cast(null as varchar) as owner_name,
    cast(null as varchar) as contact_name,
    phone,
    email,
    tax_id,
    cast(null as varchar) as customer_kind,
    registered_on,
    cast(null as varchar) as linked_source,
    cast(null as varchar) as linked_customer_id
from renamed
