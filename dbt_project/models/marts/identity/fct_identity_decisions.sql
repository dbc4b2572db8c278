-- How customers came together and apart: every decision about a source's record, in the order they were made.
with decisions as (

    select * from {{ ref('int_identity_decisions') }}

)

select
    decision_number,
    decided_on,
    source,
    source_customer_id,
    customer_id,
    previous_customer_id,
    method,
    via_record_id,
    agreed_keys,
    match_weight,
    model_version
from decisions
