-- Survey answers over all sources.
with source as (

    select * from {{ ref('stg_surveys') }}

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
