-- What k-means compares: per customer and indicator of a clustered dimension the value, empty where the indicator is
-- left out, and as many groups as the scheme has tiers. A customer that lacks a needed indicator is not grouped.
with scores as (

    select * from {{ ref('int_indicator_scores') }}

),

members as (

    select * from {{ ref('int_scheme_members') }}

),

dimensions as (

    select * from {{ source('rules', 'scheme_dimensions') }}

),

tiers as (

    select * from {{ source('rules', 'tiers') }}

),

tier_counts as (

    select
        rules_version,
        scheme,
        count(*) as clusters
    from tiers
    group by rules_version, scheme

),

clustered as (

    select
        scores.customer_id,
        scores.scheme,
        scores.dimension,
        scores.as_of_date,
        scores.indicator,
        scores.score,
        scores.weight_in_dimension,
        dimensions.measure,
        tier_counts.clusters,
        max(case when scores.status = 'pending' then 1 else 0 end) over (
            partition by scores.customer_id, scores.scheme, scores.dimension, scores.as_of_date
        ) as has_pending
    from scores
    inner join members
        on
            scores.customer_id = members.customer_id
            and scores.scheme = members.scheme
            and scores.as_of_date = members.as_of_date
    inner join dimensions
        on
            members.rules_version = dimensions.rules_version
            and scores.scheme = dimensions.scheme
            and scores.dimension = dimensions.dimension
    inner join tier_counts
        on
            members.rules_version = tier_counts.rules_version
            and scores.scheme = tier_counts.scheme
    where dimensions.level_by = 'cluster'

)

select
    customer_id,
    scheme,
    dimension,
    as_of_date,
    indicator,
    cast(score as double) as value,
    cast(weight_in_dimension as double) as weight,
    measure,
    cast(clusters as integer) as clusters
from clustered
where has_pending = 0
