-- Which customer a source's id belongs to: the append-only decisions of the step before the models, one row whenever
-- it changes (customer_tiering.identity; kept as files, so that a lost warehouse loses none).
with source as (

    select * from {{ source('pipeline', 'identity_decisions') }}

),

renamed as (

    select
        number as decision_number,
        source,
        source_customer_id,
        customer_id,
        previous_customer_id,
        method,
        via_record_id,
        agreed_keys,
        match_weight,
        model_version,
        night as decided_on
    from source

)

select
    decision_number,
    source,
    source_customer_id,
    customer_id,
    previous_customer_id,
    method,
    via_record_id,
    agreed_keys,
    match_weight,
    model_version,
    decided_on
from renamed
