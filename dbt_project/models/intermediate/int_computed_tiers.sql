-- The tier that tonight's figures give. Weighted: bands of the total, capped by gates. Bands, rank, rules: the
-- level of the one dimension. Quadrant: the pair of levels. Axes: the levels side by side. A customer that lacks
-- what its scheme needs is pending.
with totals as (

    select * from {{ ref('int_scheme_totals') }}

),

dimension_scores as (

    select * from {{ ref('fct_dimension_scores') }}

),

tier_bands as (

    select * from {{ source('rules', 'tier_bands') }}

),

quadrants as (

    select * from {{ source('rules', 'quadrants') }}

),

gates as (

    select * from {{ source('rules', 'gates') }}

),

tiers as (

    select * from {{ source('rules', 'tiers') }}

),

indicator_values as (

    select * from {{ ref('int_indicator_values') }}

),

banded as (

    select
        totals.customer_id,
        totals.scheme,
        totals.as_of_date,
        totals.rules_version,
        tier_bands.tier
    from totals
    inner join tier_bands
        on
            totals.rules_version = tier_bands.rules_version
            and totals.scheme = tier_bands.scheme
            and tier_bands.dimension = ''
            and totals.score is not null
            and {{ in_band('totals.score', 'tier_bands') }}
    where totals.kind = 'weighted'

),

failed_gates as (

    select
        banded.customer_id,
        banded.scheme,
        banded.as_of_date,
        gates.cap_tier,
        -- Of several gates that a customer fails, the lowest cap holds.
        row_number() over (
            partition by banded.customer_id, banded.scheme, banded.as_of_date
            order by tiers.tier_rank desc, gates.cap_tier asc
        ) as cap_order
    from banded
    inner join gates
        on
            banded.rules_version = gates.rules_version
            and banded.scheme = gates.scheme
            and banded.tier = gates.tier
    inner join tiers
        on
            gates.rules_version = tiers.rules_version
            and gates.scheme = tiers.scheme
            and gates.cap_tier = tiers.tier
    inner join indicator_values
        on
            banded.customer_id = indicator_values.customer_id
            and banded.as_of_date = indicator_values.as_of_date
            and gates.indicator = indicator_values.indicator
    where indicator_values.raw_value is null or indicator_values.raw_value < gates.lower_bound

),

capped as (

    select
        customer_id,
        scheme,
        as_of_date,
        cap_tier
    from failed_gates
    where cap_order = 1

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
    where totals.kind in ('bands', 'rank', 'rules', 'cluster')

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

)

select
    totals.customer_id,
    totals.scheme,
    totals.as_of_date,
    totals.score,
    totals.coverage,
    coalesce(capped.cap_tier, banded.tier, single.tier, paired.tier, side_by_side.tier, 'pending') as computed_tier
from totals
left join banded
    on
        totals.customer_id = banded.customer_id
        and totals.scheme = banded.scheme
        and totals.as_of_date = banded.as_of_date
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
