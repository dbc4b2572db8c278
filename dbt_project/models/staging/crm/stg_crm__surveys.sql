-- Survey answers: NPS 0-10 and CSAT 1-5.
with source as (

    {{ newest_version(source('crm', 'surveys'), ['survey_id'], 'answered_at') }}

),

renamed as (

    select
        survey_id,
        'crm' as customer_source,
        account_id as source_customer_id,
        kind,
        try_cast(score as integer) as score,
        {{ parse_date('answered_at') }} as answered_on
    from source

)

select
    survey_id,
    customer_source,
    source_customer_id,
    kind,
    score,
    answered_on
from renamed
