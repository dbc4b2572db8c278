-- Survey answers over all sources.
with source as (

    {{ union_sources('surveys', {
        'survey_id': 'varchar',
        'customer_source': 'varchar',
        'source_customer_id': 'varchar',
        'kind': 'varchar',
        'score': 'integer',
        'answered_on': 'date',
    }) }}

),

ids as (

    select * from {{ ref('int_customer_ids') }}

)

select
    source.source,
    source.survey_id,
    ids.customer_id,
    source.kind,
    source.score,
    source.answered_on
from source
left join ids
    on
        source.customer_source = ids.source
        and source.source_customer_id = ids.source_customer_id
