-- The customer that each source id belongs to: its newest decision.
with decisions as (

    select * from {{ ref('int_identity_decisions') }}

),

ranked as (

    select
        source,
        source_customer_id,
        customer_id,
        method,
        decided_on,
        row_number() over (partition by source, source_customer_id order by decision_number desc) as newest_rank
    from decisions

)

select
    source,
    source_customer_id,
    customer_id,
    method,
    decided_on
from ranked
where newest_rank = 1
