{{ config(materialized='incremental', full_refresh=false, incremental_strategy='append') }}
-- Which customer a source's id belongs to: append-only decisions, one row whenever it changes.
-- A record that carries another record's id (the crosswalk) belongs to that record's customer, any other record to
-- its own; a customer is named after its record. So a link that is corrected moves only the record that carries it,
-- and an id never changes hands.
with records as (

    select * from {{ ref('int_customer_records') }}

),

decided as (

    select
        records.source,
        records.source_customer_id,
        coalesce(linked.source || '-' || linked.source_customer_id, records.source || '-' || records.source_customer_id)
            as customer_id,
        case when linked.source is null then 'own_id' else 'crosswalk' end as method
    from records
    left join records as linked
        on
            records.linked_source = linked.source
            and records.linked_customer_id = linked.source_customer_id

),

known as (

    {% if is_incremental() -%}
    select
        source,
        source_customer_id,
        customer_id
    from (
        select
            source,
            source_customer_id,
            customer_id,
            row_number() over (
                partition by source, source_customer_id
                order by decision_number desc
            ) as newest_rank
        from {{ this }}
    ) as decisions
    where newest_rank = 1
    {%- else -%}
    select
        cast(null as varchar) as source,
        cast(null as varchar) as source_customer_id,
        cast(null as varchar) as customer_id
    where 1 = 0
    {%- endif %}

),

last_number as (

    {% if is_incremental() -%}
    select coalesce(max(decision_number), 0) as decision_number from {{ this }}
    {%- else -%}
    select 0 as decision_number
    {%- endif %}

),

in_force as (

    select as_of_date from {{ ref('int_rules_in_force') }}

)

select
    last_number.decision_number
    + row_number() over (order by decided.source, decided.source_customer_id) as decision_number,
    decided.source,
    decided.source_customer_id,
    decided.customer_id,
    known.customer_id as previous_customer_id,
    decided.method,
    in_force.as_of_date as decided_on
from decided
left join known
    on
        decided.source = known.source
        and decided.source_customer_id = known.source_customer_id
cross join last_number
cross join in_force
where known.customer_id is null or known.customer_id <> decided.customer_id
