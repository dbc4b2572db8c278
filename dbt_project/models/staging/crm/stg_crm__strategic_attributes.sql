-- The strategic review sheet: one row per account and review day; of several versions of a review the newest wins.
with source as (

    {{ newest_version(source('crm', 'strategic_attributes'), ['account_id', 'updated_on'], 'updated_on') }}

),

renamed as (

    select
        'crm' as customer_source,
        account_id as source_customer_id,
        try_cast(industry_rank as integer) as industry_rank,
        {{ parse_rate('industry_growth') }} as industry_growth,
        {{ parse_rate('size_growth') }} as size_growth,
        {{ parse_rate('demand_match') }} as demand_match,
        strategic_level,
        {{ parse_money('assets') }} as assets,
        {{ parse_rate('industry_fit') }} as industry_fit,
        {{ parse_rate('digital_demand') }} as digital_demand,
        {{ parse_date('updated_on') }} as reviewed_on
    from source

)

select
    customer_source,
    source_customer_id,
    industry_rank,
    industry_growth,
    size_growth,
    demand_match,
    strategic_level,
    assets,
    industry_fit,
    digital_demand,
    reviewed_on
from renamed
