-- Interactions with accounts: calls, e-mails, social, logins, page views, campaigns and events.
with source as (

    {{ newest_version(source('crm', 'interactions'), ['interaction_id'], 'occurred_at') }}

),

renamed as (

    select
        interaction_id,
        'crm' as customer_source,
        account_id as source_customer_id,
        kind,
        coalesce(participated = '1', false) as is_participation,
        {{ parse_timestamp('occurred_at') }} as occurred_at
    from source

)

select
    interaction_id,
    customer_source,
    source_customer_id,
    kind,
    is_participation,
    occurred_at
from renamed
