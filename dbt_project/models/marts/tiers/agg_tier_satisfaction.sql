-- Low-satisfaction diagnosis per tier, over the last 12 months: every rating and every ticket counts once. The main
-- driver is what is worst against all customers of the scheme: complaints, time to first response or to resolution.
{%- set drivers = {
    'complaints_per_customer': ('customers', 'Complaints', '投诉多'),
    'first_response_hours': ('responded_tickets', 'Slow first response', '首次响应慢'),
    'resolution_hours': ('resolved_tickets', 'Slow resolution', '解决慢'),
} %}
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

service as (

    select * from {{ ref('int_indicators_service') }}

),

settings as (

    select * from {{ ref('int_mart_settings') }}

),

tier_ranks as (

    select * from {{ source('rules', 'tiers') }}

),

sums as (

    select
        tiers.scheme,
        tiers.effective_tier as tier,
        tiers.as_of_date,
        count(*) as customers,
        count(service.csat) as customers_rated,
        count(case when service.csat < settings.low_csat then 1 end) as dissatisfied_customers,
        sum(service.ratings) as ratings,
        sum(service.satisfied_ratings) as satisfied_ratings,
        sum(service.complaints) as complaints,
        sum(service.responded_tickets) as responded_tickets,
        sum(service.first_response_hours_total) as first_response_hours_total,
        sum(service.resolved_tickets) as resolved_tickets,
        sum(service.resolution_hours_total) as resolution_hours_total
    from tiers
    inner join settings
        on tiers.as_of_date = settings.as_of_date
    left join service
        on
            tiers.customer_id = service.customer_id
            and tiers.as_of_date = service.as_of_date
    group by tiers.scheme, tiers.effective_tier, tiers.as_of_date

),

scheme_sums as (

    select
        scheme,
        as_of_date,
        sum(customers) as customers,
        sum(ratings) as ratings,
        sum(satisfied_ratings) as satisfied_ratings,
        sum(complaints) as complaints,
        sum(responded_tickets) as responded_tickets,
        sum(first_response_hours_total) as first_response_hours_total,
        sum(resolved_tickets) as resolved_tickets,
        sum(resolution_hours_total) as resolution_hours_total
    from sums
    group by scheme, as_of_date

),

measures as (

    select
        sums.scheme,
        sums.tier,
        sums.as_of_date,
        sums.customers,
        sums.customers_rated,
        sums.dissatisfied_customers,
        sums.ratings,
        {{ ratio('sums.satisfied_ratings', 'sums.ratings') }} as csat,
        {{ ratio('scheme_sums.satisfied_ratings', 'scheme_sums.ratings') }} as scheme_csat,
        -- A tier without a ticket has no complaint, where anybody of the scheme has tickets at all.
        case when scheme_sums.complaints is not null then coalesce(sums.complaints, 0) end as complaints,
        case
            when scheme_sums.complaints is not null
                then {{ ratio('coalesce(sums.complaints, 0)', 'sums.customers') }}
        end as complaints_per_customer,
        {{ ratio('scheme_sums.complaints', 'scheme_sums.customers') }} as scheme_complaints_per_customer,
        coalesce(sums.responded_tickets, 0) as responded_tickets,
        coalesce(sums.resolved_tickets, 0) as resolved_tickets,
        {{ ratio('sums.first_response_hours_total', 'sums.responded_tickets') }} as first_response_hours,
        {{ ratio('scheme_sums.first_response_hours_total', 'scheme_sums.responded_tickets') }}
            as scheme_first_response_hours,
        {{ ratio('sums.resolution_hours_total', 'sums.resolved_tickets') }} as resolution_hours,
        {{ ratio('scheme_sums.resolution_hours_total', 'scheme_sums.resolved_tickets') }} as scheme_resolution_hours
    from sums
    inner join scheme_sums
        on
            sums.scheme = scheme_sums.scheme
            and sums.as_of_date = scheme_sums.as_of_date

),

excesses as (

    {% for name, (cases, label_en, label_zh) in drivers.items() -%}
    select
        scheme,
        tier,
        as_of_date,
        '{{ name }}' as driver,
        '{{ label_en }}' as driver_en,
        '{{ label_zh }}' as driver_zh,
        {{ cases }} as cases,
        {{ ratio(name ~ ' - scheme_' ~ name, 'scheme_' ~ name) }} as excess
    from measures
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

main_drivers as (

    select
        excesses.scheme,
        excesses.tier,
        excesses.as_of_date,
        excesses.driver,
        excesses.driver_en,
        excesses.driver_zh,
        excesses.excess,
        row_number() over (
            partition by excesses.scheme, excesses.tier, excesses.as_of_date
            order by excesses.excess desc, excesses.driver asc
        ) as driver_order
    from excesses
    inner join settings
        on excesses.as_of_date = settings.as_of_date
    where
        excesses.excess > 0
        and excesses.excess >= settings.driver_excess
        and excesses.cases >= settings.driver_min_cases

)

select
    measures.scheme,
    measures.tier,
    measures.as_of_date,
    tier_ranks.tier_rank,
    cast(measures.customers as integer) as customers,
    cast(measures.customers_rated as integer) as customers_rated,
    cast(coalesce(measures.ratings, 0) as integer) as ratings,
    measures.csat,
    measures.scheme_csat,
    measures.csat < measures.scheme_csat as is_below_scheme,
    cast(measures.dissatisfied_customers as integer) as dissatisfied_customers,
    {{ ratio('measures.dissatisfied_customers', 'measures.customers_rated') }} as dissatisfied_share,
    cast(measures.complaints as integer) as complaints,
    measures.complaints_per_customer,
    measures.scheme_complaints_per_customer,
    cast(measures.responded_tickets as integer) as responded_tickets,
    cast(measures.first_response_hours as decimal(18, 2)) as first_response_hours,
    cast(measures.scheme_first_response_hours as decimal(18, 2)) as scheme_first_response_hours,
    cast(measures.resolved_tickets as integer) as resolved_tickets,
    cast(measures.resolution_hours as decimal(18, 2)) as resolution_hours,
    cast(measures.scheme_resolution_hours as decimal(18, 2)) as scheme_resolution_hours,
    main_drivers.driver as main_driver,
    main_drivers.driver_en as main_driver_en,
    main_drivers.driver_zh as main_driver_zh,
    main_drivers.excess as main_driver_excess
from measures
inner join settings
    on measures.as_of_date = settings.as_of_date
left join tier_ranks
    on
        settings.rules_version = tier_ranks.rules_version
        and measures.scheme = tier_ranks.scheme
        and measures.tier = tier_ranks.tier
left join main_drivers
    on
        measures.scheme = main_drivers.scheme
        and measures.tier = main_drivers.tier
        and measures.as_of_date = main_drivers.as_of_date
        and main_drivers.driver_order = 1
