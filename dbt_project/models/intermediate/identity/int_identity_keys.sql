-- What identifies each source's record of a customer, in one form; what too many records carry identifies nobody.
with records as (

    select * from {{ ref('int_customer_records') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

),

mapping as (

    select
        mapped.source_value,
        mapped.industry_l2
    from {{ source('rules', 'industry_mapping') }} as mapped
    inner join in_force
        on mapped.rules_version = in_force.rules_version

),

settings as (

    select max(cast(settings.value as integer)) as key_limit
    from {{ source('rules', 'settings') }} as settings
    inner join in_force
        on settings.rules_version = in_force.rules_version
    where settings.setting = 'identity_key_limit'

),

normalised as (

    select
        records.source || '-' || records.source_customer_id as record_id,
        records.source,
        records.source_customer_id,
        records.source in (
            select order_sources.source from {{ ref('int_order_sources') }} as order_sources
        ) as is_registry,
        {{ company_name_key('records.customer_name') }} as name_key,
        {{ tax_id_key('records.tax_id') }} as tax_key,
        case when length(records.phone) >= 7 then records.phone end as phone_key,
        {{ email_key('records.email') }} as email_key,
        records.region,
        mapping.industry_l2 as industry,
        linked.source || '-' || linked.source_customer_id as linked_record_id
    from records
    left join mapping
        on records.industry = mapping.source_value
    left join records as linked
        on
            records.linked_source = linked.source
            and records.linked_customer_id = linked.source_customer_id

),

with_domain as (

    select
        *,
        substr(email_key, instr(email_key, '@') + 1) as email_domain
    from normalised

),

counted as (

    select
        *,
        count(*) over (partition by name_key) as name_count,
        count(*) over (partition by phone_key) as phone_count,
        count(*) over (partition by email_key) as email_count,
        count(*) over (partition by email_domain) as email_domain_count
    from with_domain

)

select
    counted.record_id,
    counted.source,
    counted.source_customer_id,
    counted.is_registry,
    case when counted.name_count <= settings.key_limit then counted.name_key end as name_key,
    counted.tax_key,
    case when counted.phone_count <= settings.key_limit then counted.phone_key end as phone_key,
    case when counted.email_count <= settings.key_limit then counted.email_key end as email_key,
    case when counted.email_domain_count <= settings.key_limit then counted.email_domain end as email_domain,
    counted.region,
    counted.industry,
    counted.linked_record_id
from counted
cross join settings
