-- Sales opportunities over all sources.
with source as (

    {{ union_sources('opportunities', {
        'opportunity_id': 'varchar',
        'customer_source': 'varchar',
        'source_customer_id': 'varchar',
        'opportunity_name': 'varchar',
        'stage': 'varchar',
        'company_size': 'varchar',
        'budget': 'decimal(18, 2)',
        'industry_fit': 'decimal(18, 6)',
        'has_decision_maker': 'boolean',
        'cooperation_depth': 'varchar',
        'opened_on': 'date',
        'closed_on': 'date',
    }) }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

)

select
    source.source,
    source.opportunity_id,
    ids.customer_id,
    source.opportunity_name,
    source.stage,
    source.company_size,
    source.budget,
    source.industry_fit,
    source.has_decision_maker,
    source.cooperation_depth,
    source.opened_on,
    source.closed_on
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
