-- Strategic attributes of all sources, newest version of each.
with newest as (

    {{ newest_version(
        source('input_layer', 'strategic_attributes'), ['source', 'customer_id', 'reviewed_on'], 'reviewed_on'
    ) }}

),

renamed as (

    select
        source,
        customer_id as source_customer_id,
        industry_rank,
        industry_growth,
        size_growth,
        demand_match,
        strategic_level,
        assets,
        industry_fit,
        digital_demand,
        reviewed_on,
        customer_source
    from newest

)

select
    source,
    source_customer_id,
    industry_rank,
    industry_growth,
    size_growth,
    demand_match,
    strategic_level,
    assets,
    industry_fit,
    digital_demand,
    reviewed_on,
    customer_source
from renamed
