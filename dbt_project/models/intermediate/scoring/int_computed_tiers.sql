-- The tier that the night's figures give. Weighted and bands: the band of the score, or the best tier below whose needs
-- and caps the customer meets. Rank, rules, cluster: the level of the one dimension. Quadrant: the pair of levels.
-- Axes: the levels side by side. A customer that lacks what its scheme needs is pending. Beside it: the tier a customer
-- may enter, and the one it must leave for, when the scheme asks for a margin at the edges.
with totals as (

    select * from {{ ref('int_scheme_totals') }}

),

dimension_scores as (

    select * from {{ ref('int_dimension_scores') }}

),

tier_bands as (

    select * from {{ source('rules', 'tier_bands') }}

),

quadrants as (

    select * from {{ source('rules', 'quadrants') }}

),

tier_caps as (

    select * from {{ source('rules', 'tier_caps') }}

),

tiers as (

    select * from {{ source('rules', 'tiers') }}

),

indicator_values as (

    select * from {{ ref('int_indicator_values') }}

),

stability as (

    select * from {{ source('rules', 'stability') }}

),

-- Whether the best tier of a scheme lies above the others (spend) or below them (recency).
directions as (

    select
        tier_bands.rules_version,
        tier_bands.scheme,
        min(case when tiers.tier_rank = 1 and tier_bands.lower_bound is null then -1 else 1 end) as direction
    from tier_bands
    inner join tiers
        on
            tier_bands.rules_version = tiers.rules_version
            and tier_bands.scheme = tiers.scheme
            and tier_bands.tier = tiers.tier
    group by tier_bands.rules_version, tier_bands.scheme

),

on_an_axis as (

    select
        totals.customer_id,
        totals.scheme,
        totals.as_of_date,
        totals.rules_version,
        totals.kind,
        totals.score,
        stability.enter_margin * directions.direction as enter_margin,
        stability.exit_margin * directions.direction as exit_margin
    from totals
    left join stability
        on
            totals.rules_version = stability.rules_version
            and totals.scheme = stability.scheme
    left join directions
        on
            totals.rules_version = directions.rules_version
            and totals.scheme = directions.scheme
    where totals.kind in ('weighted', 'bands') and totals.score is not null

),

-- The score as it is; less the enter margin, which a customer on its way up has to hold; plus the exit margin.
readings as (

    select
        customer_id,
        scheme,
        as_of_date,
        rules_version,
        kind,
        'computed' as reading,
        score
    from on_an_axis
    union all
    select
        customer_id,
        scheme,
        as_of_date,
        rules_version,
        kind,
        'entering' as reading,
        cast(score - enter_margin as decimal(30, 12)) as score
    from on_an_axis
    where enter_margin <> 0
    union all
    select
        customer_id,
        scheme,
        as_of_date,
        rules_version,
        kind,
        'leaving' as reading,
        cast(score + exit_margin as decimal(30, 12)) as score
    from on_an_axis
    where exit_margin <> 0

),

banded as (

    select
        readings.customer_id,
        readings.scheme,
        readings.as_of_date,
        readings.rules_version,
        readings.reading,
        tier_bands.tier
    from readings
    inner join tier_bands
        on
            readings.rules_version = tier_bands.rules_version
            and readings.scheme = tier_bands.scheme
            and (readings.kind = 'bands') = (tier_bands.dimension <> '')
            and {{ in_band('readings.score', 'tier_bands') }}

),

-- Tiers that a customer cannot have, whatever its score: what they ask for is less than that, or not known.
out_of_reach as (

    select distinct
        on_an_axis.customer_id,
        on_an_axis.scheme,
        on_an_axis.as_of_date,
        tier_caps.tier
    from on_an_axis
    inner join tier_caps
        on
            on_an_axis.rules_version = tier_caps.rules_version
            and on_an_axis.scheme = tier_caps.scheme
    inner join indicator_values
        on
            on_an_axis.customer_id = indicator_values.customer_id
            and on_an_axis.as_of_date = indicator_values.as_of_date
            and tier_caps.indicator = indicator_values.indicator
    where indicator_values.raw_value is null or indicator_values.raw_value < tier_caps.lower_bound

),

-- The tiers from the one of the score downwards, the best first; only for customers whom a cap keeps out of one.
within_reach as (

    select
        banded.customer_id,
        banded.scheme,
        banded.as_of_date,
        banded.reading,
        tiers.tier,
        row_number() over (
            partition by banded.customer_id, banded.scheme, banded.as_of_date, banded.reading
            order by tiers.tier_rank
        ) as reach_order
    from banded
    inner join tiers as own
        on
            banded.rules_version = own.rules_version
            and banded.scheme = own.scheme
            and banded.tier = own.tier
    inner join tiers
        on
            banded.rules_version = tiers.rules_version
            and banded.scheme = tiers.scheme
            and own.tier_rank <= tiers.tier_rank
    left join out_of_reach
        on
            banded.customer_id = out_of_reach.customer_id
            and banded.scheme = out_of_reach.scheme
            and banded.as_of_date = out_of_reach.as_of_date
            and tiers.tier = out_of_reach.tier
    where
        out_of_reach.tier is null
        and exists (
            select 1 as kept_out
            from out_of_reach as other
            where
                banded.customer_id = other.customer_id
                and banded.scheme = other.scheme
                and banded.as_of_date = other.as_of_date
        )

),

capped as (

    select
        banded.customer_id,
        banded.scheme,
        banded.as_of_date,
        max(case when banded.reading = 'computed' then coalesce(within_reach.tier, banded.tier) end) as tier,
        max(case when banded.reading = 'entering' then coalesce(within_reach.tier, banded.tier) end) as entering_tier,
        max(case when banded.reading = 'leaving' then coalesce(within_reach.tier, banded.tier) end) as leaving_tier
    from banded
    left join within_reach
        on
            banded.customer_id = within_reach.customer_id
            and banded.scheme = within_reach.scheme
            and banded.as_of_date = within_reach.as_of_date
            and banded.reading = within_reach.reading
            and within_reach.reach_order = 1
    group by banded.customer_id, banded.scheme, banded.as_of_date

),

single as (

    select
        totals.customer_id,
        totals.scheme,
        totals.as_of_date,
        dimension_scores.level as tier
    from totals
    inner join dimension_scores
        on
            totals.customer_id = dimension_scores.customer_id
            and totals.scheme = dimension_scores.scheme
            and totals.as_of_date = dimension_scores.as_of_date
    where totals.kind in ('rank', 'rules', 'cluster')

),

paired as (

    select
        totals.customer_id,
        totals.scheme,
        totals.as_of_date,
        quadrants.tier
    from totals
    inner join quadrants
        on
            totals.rules_version = quadrants.rules_version
            and totals.scheme = quadrants.scheme
    inner join dimension_scores as firsts
        on
            totals.customer_id = firsts.customer_id
            and totals.scheme = firsts.scheme
            and totals.as_of_date = firsts.as_of_date
            and quadrants.first_dimension = firsts.dimension
            and quadrants.first_level = firsts.level
    inner join dimension_scores as seconds
        on
            totals.customer_id = seconds.customer_id
            and totals.scheme = seconds.scheme
            and totals.as_of_date = seconds.as_of_date
            and quadrants.second_dimension = seconds.dimension
            and quadrants.second_level = seconds.level
    where totals.kind = 'quadrant'

),

side_by_side as (

    select
        totals.customer_id,
        totals.scheme,
        totals.as_of_date,
        case
            when count(*) = count(dimension_scores.level)
                then {{ join_texts('dimension_scores.level', 'dimension_scores.dimension') }}
        end as tier
    from totals
    inner join dimension_scores
        on
            totals.customer_id = dimension_scores.customer_id
            and totals.scheme = dimension_scores.scheme
            and totals.as_of_date = dimension_scores.as_of_date
    where totals.kind = 'axes'
    group by totals.customer_id, totals.scheme, totals.as_of_date

),

decided as (

    select
        totals.customer_id,
        totals.scheme,
        totals.as_of_date,
        totals.rules_version,
        totals.score,
        totals.coverage,
        coalesce(capped.tier, single.tier, paired.tier, side_by_side.tier, 'pending') as computed_tier,
        capped.entering_tier,
        capped.leaving_tier
    from totals
    left join capped
        on
            totals.customer_id = capped.customer_id
            and totals.scheme = capped.scheme
            and totals.as_of_date = capped.as_of_date
    left join single
        on
            totals.customer_id = single.customer_id
            and totals.scheme = single.scheme
            and totals.as_of_date = single.as_of_date
    left join paired
        on
            totals.customer_id = paired.customer_id
            and totals.scheme = paired.scheme
            and totals.as_of_date = paired.as_of_date
    left join side_by_side
        on
            totals.customer_id = side_by_side.customer_id
            and totals.scheme = side_by_side.scheme
            and totals.as_of_date = side_by_side.as_of_date

)

select
    customer_id,
    scheme,
    as_of_date,
    rules_version,
    score,
    coverage,
    computed_tier,
    coalesce(entering_tier, computed_tier) as entering_tier,
    coalesce(leaving_tier, computed_tier) as leaving_tier
from decided
