-- Opportunities that are open on the as-of date, scored by company size, industry fit, budget and contact to the
-- decision maker. A missing input is left out and the known points count for all (coverage says how much was
-- known); too little known is pending. The bands and the priorities are seeds.
with opportunities as (

    select * from {{ ref('int_opportunities') }}

),

settings as (

    select * from {{ ref('int_churn_settings') }}

),

bands as (

    select * from {{ source('rules', 'opportunity_bands') }}

),

priorities as (

    select * from {{ source('rules', 'opportunity_priorities') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

open_opportunities as (

    select
        opportunities.source || '-' || opportunities.opportunity_id as opportunity_id,
        opportunities.customer_id,
        settings.as_of_date,
        settings.rules_version,
        settings.opportunity_min_coverage,
        opportunities.opportunity_name,
        opportunities.stage,
        opportunities.opened_on,
        coalesce(opportunities.company_size, customers.company_size) as company_size,
        opportunities.industry_fit,
        opportunities.budget,
        case when opportunities.has_decision_maker then 'yes' else 'no' end as decision_maker,
        customers.customer_name,
        customers.owner_name
    from opportunities
    inner join settings
        on
            opportunities.opened_on <= settings.as_of_date
            and (opportunities.closed_on is null or opportunities.closed_on > settings.as_of_date)
    left join customers
        on opportunities.customer_id = customers.customer_id

),

weights as (

    select
        rules_version,
        component,
        max(points) as most_points
    from bands
    group by rules_version, component

),

inputs as (

    {% for component in ['company_size', 'industry_fit', 'budget', 'decision_maker'] -%}
    select
        opportunity_id,
        as_of_date,
        rules_version,
        '{{ component }}' as component,
        {{ component if component in ('company_size', 'decision_maker') else 'cast(null as varchar)' }} as level,
        {{ component if component in ('industry_fit', 'budget') else 'cast(null as decimal(18, 6))' }} as value
    from open_opportunities
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

scored as (

    select
        inputs.opportunity_id,
        inputs.as_of_date,
        inputs.component,
        weights.most_points,
        bands.points
    from inputs
    inner join weights
        on
            inputs.rules_version = weights.rules_version
            and inputs.component = weights.component
    left join bands
        on
            inputs.rules_version = bands.rules_version
            and inputs.component = bands.component
            and (
                inputs.level = bands.level
                or (bands.level = '' and inputs.value is not null and {{ in_band('inputs.value', 'bands') }})
            )

),

totals as (

    select
        opportunity_id,
        as_of_date,
        {%- for component in ['company_size', 'industry_fit', 'budget', 'decision_maker'] %}
        max(case when component = '{{ component }}' then points end) as {{ component }}_points,
        {%- endfor %}
        {{ ratio('sum(case when points is not null then most_points end)', 'sum(most_points)') }} as coverage,
        {{ ratio('100 * sum(points)', 'sum(case when points is not null then most_points end)') }} as known_score
    from scored
    group by opportunity_id, as_of_date

),

judged as (

    select
        open_opportunities.opportunity_id,
        open_opportunities.customer_id,
        open_opportunities.as_of_date,
        open_opportunities.rules_version,
        open_opportunities.opportunity_name,
        open_opportunities.stage,
        open_opportunities.opened_on,
        open_opportunities.company_size,
        open_opportunities.industry_fit,
        open_opportunities.budget,
        open_opportunities.decision_maker,
        open_opportunities.customer_name,
        open_opportunities.owner_name,
        totals.company_size_points,
        totals.industry_fit_points,
        totals.budget_points,
        totals.decision_maker_points,
        coalesce(totals.coverage, 0) as coverage,
        case when totals.coverage >= open_opportunities.opportunity_min_coverage then totals.known_score end as score
    from open_opportunities
    inner join totals
        on
            open_opportunities.opportunity_id = totals.opportunity_id
            and open_opportunities.as_of_date = totals.as_of_date

)

select
    judged.opportunity_id,
    judged.customer_id,
    judged.as_of_date,
    judged.customer_name,
    judged.opportunity_name,
    judged.stage,
    judged.opened_on,
    judged.company_size,
    judged.industry_fit,
    judged.budget,
    judged.decision_maker = 'yes' as has_decision_maker,
    judged.company_size_points,
    judged.industry_fit_points,
    judged.budget_points,
    judged.decision_maker_points,
    judged.score,
    cast(judged.coverage as decimal(18, 6)) as coverage,
    coalesce(priorities.priority, 'pending') as priority,
    priorities.priority_rank,
    coalesce(priorities.label_en, 'Pending') as label_en,
    coalesce(priorities.label_zh, '待评估') as label_zh,
    coalesce(priorities.advice_en, 'Ask for the missing facts: company size, industry fit, budget') as advice_en,
    coalesce(priorities.advice_zh, '补充缺失信息：公司规模、行业匹配度、预算') as advice_zh,
    judged.owner_name as owner
from judged
left join priorities
    on
        judged.rules_version = priorities.rules_version
        and judged.score is not null
        and {{ in_band('judged.score', 'priorities') }}
