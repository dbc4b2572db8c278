-- One row per customer: each attribute from the source that knows it best. Relationship data (owner, contact)
-- comes from the CRM by being the only one to have it; where several have a value, sources are asked in the
-- order crm-like (with an owner) first, then by source name, newest registration last. Whom no source calls a
-- consumer is a business; a consumer's name is a person's, so it is masked like a contact's.
with records as (

    select * from {{ ref('int_customer_records') }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

),

mapping as (

    select
        mapped.source_value,
        mapped.industry_l1,
        mapped.industry_l2
    from {{ source('rules', 'industry_mapping') }} as mapped
    inner join {{ ref('int_rules_in_force') }} as in_force
        on mapped.rules_version = in_force.rules_version

),

identified as (

    select
        ids.customer_id,
        records.customer_name,
        mapping.industry_l1,
        mapping.industry_l2,
        records.industry,
        records.company_size,
        records.region,
        records.owner_name,
        records.contact_name,
        records.phone,
        records.email,
        records.tax_id,
        records.customer_kind,
        records.registered_on,
        row_number() over (
            partition by ids.customer_id
            order by
                case when records.owner_name is not null then 0 else 1 end,
                records.source,
                records.registered_on,
                records.source_customer_id
        ) as preference
    from records
    inner join ids
        on
            records.source = ids.source
            and records.source_customer_id = ids.source_customer_id
    left join mapping
        on records.industry = mapping.source_value

),

sellers as (

    select distinct ids.customer_id
    from ids
    inner join {{ ref('int_order_sources') }} as order_sources
        on ids.source = order_sources.source

),

merged as (

    select
        customer_id,
        {%- for column in [
            'customer_name', 'industry_l1', 'industry_l2', 'industry', 'company_size', 'region', 'owner_name',
            'contact_name', 'phone', 'email', 'tax_id', 'customer_kind'
        ] %}
        {{ first_known(column) }} as {{ column }},
        {%- endfor %}
        min(registered_on) as registered_on
    from identified
    group by customer_id

)

select
    merged.customer_id,
    case
        when merged.customer_kind = 'consumer' then {{ mask_name('merged.customer_name') }}
        else merged.customer_name
    end as customer_name,
    merged.industry_l1,
    merged.industry_l2,
    merged.industry as industry_as_typed,
    merged.company_size,
    merged.region,
    merged.owner_name,
    merged.contact_name,
    merged.phone,
    merged.email,
    merged.tax_id,
    coalesce(merged.customer_kind, 'business') as customer_kind,
    merged.registered_on,
    sellers.customer_id is not null as has_order_source
from merged
left join sellers
    on merged.customer_id = sellers.customer_id
