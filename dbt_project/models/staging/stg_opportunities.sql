-- Opportunities of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'opportunities'), ['source', 'opportunity_id'], 'updated_at') }}

),

renamed as (

    select
        source,
        opportunity_id,
        customer_id as source_customer_id,
        opportunity_name,
        stage,
        company_size,
        budget,
        industry_fit,
        has_decision_maker,
        cooperation_depth,
        opened_on,
        closed_on,
        updated_at,
        customer_source
    from newest

)

select
    source,
    opportunity_id,
    source_customer_id,
    opportunity_name,
    stage,
    company_size,
    budget,
    industry_fit,
    has_decision_maker,
    cooperation_depth,
    opened_on,
    closed_on,
    updated_at,
    customer_source
from renamed
