{{ config(materialized='incremental', full_refresh=false, incremental_strategy='append') }}
-- Which customer a source's id belongs to: append-only decisions, so that an id never changes hands.
-- Records are one customer when one carries the other's id (the crosswalk). A customer is named after the key
-- that was seen first; when two known customers turn out to be one, the one decided earlier keeps its id and
-- the other's keys get a new decision.
with records as (

    select * from {{ ref('int_customer_records') }}

),

rooted as (

    select
        records.source,
        records.source_customer_id,
        coalesce(linked.source, records.source) as root_source,
        coalesce(linked.source_customer_id, records.source_customer_id) as root_customer_id
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
        customer_id,
        decided_on
    from (
        select
            source,
            source_customer_id,
            customer_id,
            decided_on,
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
        cast(null as varchar) as customer_id,
        cast(null as date) as decided_on
    where 1 = 0
    {%- endif %}

),

candidates as (

    select
        rooted.source,
        rooted.source_customer_id,
        known.customer_id as known_customer_id,
        first_value(coalesce(known.customer_id, rooted.root_source || '-' || rooted.root_customer_id)) over (
            partition by rooted.root_source, rooted.root_customer_id
            order by
                case when known.customer_id is null then 1 else 0 end,
                known.decided_on,
                case
                    when rooted.source = rooted.root_source and rooted.source_customer_id = rooted.root_customer_id
                        then 0
                    else 1
                end,
                known.customer_id
        ) as customer_id
    from rooted
    left join known
        on
            rooted.source = known.source
            and rooted.source_customer_id = known.source_customer_id

),

last_number as (

    {% if is_incremental() -%}
    select coalesce(max(decision_number), 0) as decision_number from {{ this }}
    {%- else -%}
    select 0 as decision_number
    {%- endif %}

),

as_of as (

    select max(as_of_date) as as_of_date from {{ ref('int_as_of_dates') }}

)

select
    last_number.decision_number
    + row_number() over (order by candidates.source, candidates.source_customer_id) as decision_number,
    candidates.source,
    candidates.source_customer_id,
    candidates.customer_id,
    candidates.known_customer_id as previous_customer_id,
    'crosswalk' as method,
    as_of.as_of_date as decided_on
from candidates
cross join last_number
cross join as_of
where candidates.known_customer_id is null or candidates.known_customer_id <> candidates.customer_id
