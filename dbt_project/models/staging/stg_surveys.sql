-- Surveys of all sources, newest version of each.
with newest as (

    {{ newest_version(source('input_layer', 'surveys'), ['source', 'survey_id'], 'answered_on') }}

),

renamed as (

    select
        source,
        survey_id,
        customer_id as source_customer_id,
        kind,
        score,
        answered_on,
        customer_source
    from newest

)

select
    source,
    survey_id,
    source_customer_id,
    kind,
    score,
    answered_on,
    customer_source
from renamed
