-- Score and level of each dimension of a scheme. The score is the weighted mean of its indicators' scores (or the
-- raw value); the level comes from bands, from rank among the scheme's customers, from ordered rules, or from the
-- cluster that the customer belongs to. A clustered dimension has no score: its indicators do not add up.
with scores as (

    select * from {{ ref('int_indicator_scores') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

dimensions as (

    select * from {{ source('rules', 'scheme_dimensions') }}

),

tier_bands as (

    select
        rules_version,
        scheme,
        dimension,
        tier,
        {{ first_in_band() }} as first_value,
        {{ last_in_band() }} as last_value
    from {{ source('rules', 'tier_bands') }}

),

ranked_levels as (

    select * from {{ ref('int_dimension_ranks') }}

),

ruled_levels as (

    select * from {{ ref('int_dimension_rules') }}

),

tiers as (

    select * from {{ source('rules', 'tiers') }}

),

clusters as (

    select * from {{ ref('int_dimension_clusters') }}

),

sums as (

    select
        customer_id,
        scheme,
        dimension,
        as_of_date,
        sum(case when score is not null then weight_in_dimension else 0 end) as counted_weight,
        sum(score * weight_in_dimension) as weighted_score,
        max(case when status = 'pending' then 1 else 0 end) as has_pending
    from scores
    group by customer_id, scheme, dimension, as_of_date

),

scored as (

    select
        sums.customer_id,
        sums.scheme,
        sums.dimension,
        sums.as_of_date,
        as_of_dates.rules_version,
        dimensions.level_by,
        case when dimensions.level_by = 'bands' then sums.dimension end as banded_dimension,
        dimensions.weight,
        cast(
            case
                when sums.has_pending = 1 or sums.counted_weight = 0 or dimensions.level_by = 'cluster' then null
                when sums.counted_weight = 1 then sums.weighted_score
                else round(cast(sums.weighted_score as double) / cast(sums.counted_weight as double), 6)
            end as decimal(24, 6)
        ) as score
    from sums
    inner join as_of_dates
        on sums.as_of_date = as_of_dates.as_of_date
    inner join dimensions
        on
            as_of_dates.rules_version = dimensions.rules_version
            and sums.scheme = dimensions.scheme
            and sums.dimension = dimensions.dimension

)

select
    scored.customer_id,
    scored.scheme,
    scored.dimension,
    scored.as_of_date,
    scored.score,
    scored.weight,
    case scored.level_by
        when 'bands' then tier_bands.tier
        when 'rank' then ranked_levels.level
        when 'rules' then ruled_levels.level
        when 'cluster' then tiers.tier
    end as level
from scored
left join tier_bands
    on
        scored.rules_version = tier_bands.rules_version
        and scored.scheme = tier_bands.scheme
        and scored.banded_dimension = tier_bands.dimension
        and scored.score >= tier_bands.first_value
        and scored.score <= tier_bands.last_value
left join ranked_levels
    on
        scored.customer_id = ranked_levels.customer_id
        and scored.scheme = ranked_levels.scheme
        and scored.dimension = ranked_levels.dimension
        and scored.as_of_date = ranked_levels.as_of_date
left join ruled_levels
    on
        scored.customer_id = ruled_levels.customer_id
        and scored.scheme = ruled_levels.scheme
        and scored.dimension = ruled_levels.dimension
        and scored.as_of_date = ruled_levels.as_of_date
left join clusters
    on
        scored.customer_id = clusters.customer_id
        and scored.scheme = clusters.scheme
        and scored.dimension = clusters.dimension
        and scored.as_of_date = clusters.as_of_date
left join tiers
    on
        clusters.scheme = tiers.scheme
        and clusters.cluster_rank = tiers.tier_rank
        and scored.rules_version = tiers.rules_version
