-- Sales opportunities, newest version of each.
with source as (

    {{ newest_version(source('crm', 'opportunities'), ['opportunity_id'], 'modified_at') }}

),

renamed as (

    select
        opportunity_id,
        'crm' as customer_source,
        account_id as source_customer_id,
        name as opportunity_name,
        stage,
        company_size,
        {{ parse_money('budget') }} as budget,
        {{ parse_rate('industry_fit') }} as industry_fit,
        coalesce(has_decision_maker = '1', false) as has_decision_maker,
        cooperation_depth,
        {{ parse_date('created_at') }} as opened_on,
        {{ parse_date('closed_at') }} as closed_on
    from source

)

select
    opportunity_id,
    customer_source,
    source_customer_id,
    opportunity_name,
    stage,
    company_size,
    budget,
    industry_fit,
    has_decision_maker,
    cooperation_depth,
    opened_on,
    closed_on
from renamed
